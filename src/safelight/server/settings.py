"""Settings of a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safelight.control.policies import Policies
from safelight.server.connections.limits import ConnectionLimits

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

MAX_BODY_BYTES = 16 << 20
"""Fits a large control picture and the longest prompt."""

BODY_READ_S = 30.0
"""How long a client may take to send a body."""

MAX_STORED_BYTES = 64 << 20
"""Bytes of pictures that are kept for `response_format: url`, and bytes of responses for repeated requests."""

MAX_STORED = 256
"""Pictures, and responses for repeated requests, that are kept at most."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """One server: its address, access, workers and limits.

    Attributes:
        worker_argv: command line of a worker process, the same for all workers.
        workers: how many worker processes to keep running.
        controlnet_argv: command line of the process with the ControlNets of all workers; empty if each has its own.
        adapters: folders of adapters that requests may name; of equal names, the first one counts.
        port: 0 leaves the choice to the system.
        api_key: required by every route except liveness; needed to listen beyond loopback.
        allowed_hosts: further host names that a loopback server accepts, for a proxy on the same machine.
        drain_s: how long accepted work may continue after SIGTERM.
        max_waiting: pictures that may wait; further ones are refused.
        connections: how many, and how long each may take.
        policies: by which the service decides; workers get theirs by `worker_argv`.
        outcomes: file to which one JSON line a request is added; none when None.
        aliases: further names of served models: alias to model name.
    """

    worker_argv: tuple[str, ...]
    workers: int = 1
    controlnet_argv: tuple[str, ...] = ()
    adapters: tuple[Path, ...] = ()
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    api_key: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    drain_s: float = 30.0
    max_waiting: int = 256
    max_body_bytes: int = MAX_BODY_BYTES
    body_read_s: float = BODY_READ_S
    max_stored_bytes: int = MAX_STORED_BYTES
    max_stored: int = MAX_STORED
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    policies: Policies = field(default_factory=Policies)
    outcomes: Path | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
