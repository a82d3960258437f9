"""Settings of a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safelight.access.wrong_keys import WRONG_KEYS_PER_MINUTE
from safelight.cascade.cascade import Cascade
from safelight.control.config import LOOKAHEAD_ROWS
from safelight.control.liveness import LivenessLimits
from safelight.control.policies import Policies
from safelight.core.log import DEFAULT_LOG_FORM, DEFAULT_LOG_LEVEL, LogForm, LogLevel
from safelight.server.bodies import BODY_BUDGET_BYTES
from safelight.server.connections.limits import ConnectionLimits
from safelight.server.json_scan import JsonLimits
from safelight.service.line_writer import MAX_WAITING_BYTES
from safelight.service.reuse.settings import ReuseSettings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

KEYS_CHECK_S = 1.0

MAX_BODY_BYTES = 16 << 20
"""Fits a large control picture and the longest prompt."""

BODY_READ_S = 30.0
"""How long a client may take to send a body."""

BODY_IDLE_S = 10.0
"""How long a client may send nothing of a body that it has not ended."""

MAX_DECODING = 32
"""About 15 s of work in one thread, if each has ten of the largest pictures."""

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
        keys: file with the hashes of the keys of several tenants; `api_key`, if it is set too, is an administrator's.
        keys_check_s: how often that file is read.
        wrong_keys_per_minute: wrong keys of one address that are answered with 401; further ones get a 429.
        max_waiting_per_tenant: pictures of one tenant that may wait, at most. With `keys`, a tenant may also have no
            more of them than there are free places in the queue.
        lookahead_rows: denoiser rows that a worker gets beyond one call.
        allowed_hosts: further host names that a loopback server accepts, for a proxy on the same machine.
        drain_s: how long accepted work may continue after SIGTERM.
        max_waiting: pictures that may wait; further ones are refused.
        connections: how many, and how long each may take.
        max_body_bytes: of one request; a larger body is refused.
        body_read_s: how long a client may take to send a body.
        body_idle_s: how long a client may pause within a body.
        body_budget_bytes: of all bodies that are received, parsed or decoded at once; further ones are refused.
        json_limits: what a JSON body, and a JSON field of a form, may hold.
        max_decoding: requests whose pictures are decoded or wait for that; further ones are refused.
        policies: by which the service decides; workers get theirs by `worker_argv`.
        cascades: that requests may name in place of a model.
        liveness: when workers, and the process with the ControlNets, are suspected, and when they are killed.
        outcomes: file to which one JSON line a request is added; none when None.
        max_outcome_bytes: of lines of that file that wait for a slow disk; further ones are lost, and counted.
        reuse: of earlier pictures.
        aliases: further names of served models: alias to model name.
        log_form: `auto` is text at a terminal, else JSON.
        log_level: events below it are not logged.
        otlp_traces_url: where an OpenTelemetry collector takes traces by OTLP over HTTP; none are recorded when None.
    """

    worker_argv: tuple[str, ...]
    workers: int = 1
    controlnet_argv: tuple[str, ...] = ()
    adapters: tuple[Path, ...] = ()
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    api_key: str | None = field(default=None, repr=False)
    keys: Path | None = None
    keys_check_s: float = KEYS_CHECK_S
    wrong_keys_per_minute: int = WRONG_KEYS_PER_MINUTE
    allowed_hosts: tuple[str, ...] = ()
    drain_s: float = 30.0
    max_waiting: int = 256
    max_waiting_per_tenant: int | None = None
    lookahead_rows: int = LOOKAHEAD_ROWS
    max_body_bytes: int = MAX_BODY_BYTES
    body_read_s: float = BODY_READ_S
    body_idle_s: float = BODY_IDLE_S
    body_budget_bytes: int = BODY_BUDGET_BYTES
    json_limits: JsonLimits = field(default_factory=JsonLimits)
    max_decoding: int = MAX_DECODING
    max_stored_bytes: int = MAX_STORED_BYTES
    max_stored: int = MAX_STORED
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    policies: Policies = field(default_factory=Policies)
    cascades: tuple[Cascade, ...] = ()
    liveness: LivenessLimits = field(default_factory=LivenessLimits)
    outcomes: Path | None = None
    max_outcome_bytes: int = MAX_WAITING_BYTES
    reuse: ReuseSettings = field(default_factory=ReuseSettings)
    aliases: Mapping[str, str] = field(default_factory=dict)
    log_form: LogForm = DEFAULT_LOG_FORM
    log_level: LogLevel = DEFAULT_LOG_LEVEL
    otlp_traces_url: str | None = None
