"""Settings of a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safelight.control.policies import Policies

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

MAX_BODY_BYTES = 16 << 20
"""A large control picture fits, and a prompt of the longest kind many times over."""

BODY_READ_S = 30.0
"""How long a client may take to send a body."""

MAX_STORED_BYTES = 64 << 20
"""Bytes of pictures kept for `response_format: url`, and as many for repeated answers."""

MAX_STORED = 256
"""Pictures, or repeated answers, kept at most."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """One server: where it listens, who may ask, which workers it starts and how much it takes.

    Attributes:
        worker_argv: command line of one worker process; all workers are alike.
        workers: how many worker processes to keep running.
        controlnet_argv: command line of the process that has the ControlNets of all workers; empty if each has its own.
        adapters: folders of adapters, by whose names requests may ask for them; of one name, the first is taken.
        port: 0 lets the system choose.
        api_key: guards every route but liveness; needed to listen beyond loopback.
        allowed_hosts: further names that a loopback server may be called by, for a proxy on the same machine.
        drain_s: how long accepted work may go on after SIGTERM.
        max_waiting: pictures that may wait; further ones are refused.
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
    policies: Policies = field(default_factory=Policies)
    outcomes: Path | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
