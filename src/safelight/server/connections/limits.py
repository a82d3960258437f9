"""How many connections are kept, and how long each may take; the number fits within the process's open files."""

import sys
from dataclasses import dataclass, replace

if sys.platform != "win32":
    import resource

MAX_CONNECTIONS = 4096
HEADER_TIMEOUT_S = 10.0
MAX_HEADER_BYTES = 64 << 10
IDLE_TIMEOUT_S = 60.0
WRITE_TIMEOUT_S = 60.0

MAX_HEADERS = 100
"""Header fields of one request, and trailer fields."""

MAX_PIPELINED = 4096
"""Requests of all connections that wait for an earlier request of their connection."""

ACCEPT_BURST = 16
"""Connections that the event loop accepts in one go."""

MOST_KEPT = 32
"""Connections that only requests for health may use."""

OWN_FILES = 64
"""Files that the server itself has open, with some to spare."""

FILES_PER_WORKER = 16
"""Pipes of a worker, of its successor while it starts, and its connections to the ControlNet service."""

FEWEST_CONNECTIONS = 8


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """The limits of the connections of one server.

    Attributes:
        max_connections: open at once; beyond it, silent connections are closed in favour of new ones.
        header_timeout_s: from the first byte of a header, or from the start of a connection, to the header's end.
        max_header_bytes: of the request line and all header fields, and of what frames a body or follows it.
        idle_timeout_s: how long a connection may be kept without a request.
        write_timeout_s: how long a client may take no byte of a response that waits for it.
    """

    max_connections: int = MAX_CONNECTIONS
    header_timeout_s: float = HEADER_TIMEOUT_S
    max_header_bytes: int = MAX_HEADER_BYTES
    idle_timeout_s: float = IDLE_TIMEOUT_S
    write_timeout_s: float = WRITE_TIMEOUT_S

    @property
    def kept_for_health(self) -> int:
        """Connections that only requests for health may use."""
        return max(1, min(MOST_KEPT, self.max_connections // 8))

    @property
    def max_busy(self) -> int:
        """Connections with requests other than for health that may be answered at once."""
        return max(1, self.max_connections - self.kept_for_health)


def reserved_files(workers: int) -> int:
    """Return how many files the server may need beside connections."""
    return OWN_FILES + 4 * ACCEPT_BURST + FILES_PER_WORKER * workers


def raise_file_limit(wanted: int) -> int:
    """Raise the limit of open files of this process towards `wanted`, as far as is allowed; returns the limit."""
    if sys.platform == "win32":
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):
        return soft
    return raised


def fit_to_files(limits: ConnectionLimits, *, files: int, workers: int) -> ConnectionLimits:
    """Return `limits` with no more connections than a process with `files` open files can have."""
    fitting = max(files - reserved_files(workers), files // 4, FEWEST_CONNECTIONS)
    return replace(limits, max_connections=min(limits.max_connections, fitting))
