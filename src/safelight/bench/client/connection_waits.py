"""How long requests wait inside the client for a free connection, if connections are limited."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp

from safelight.bench.formatting import format_seconds


@dataclass
class ConnectionWait:
    """The wait of one request: when it started, while it lasts, and how long it took."""

    since_s: float | None = None
    lasted_s: float = 0.0


@dataclass
class ConnectionWaits:
    """All waits of a load."""

    clock_s: Callable[[], float] = field(repr=False)
    count: int = 0
    longest_s: float = 0.0

    @property
    def summary(self) -> str:
        """A sentence for readers of the metrics; "" if no request waited."""
        if not self.count:
            return ""
        return (
            f"{self.count:,} times a request waited for one of the --connections, "
            f"up to {format_seconds(self.longest_s)}; latencies have that in them, though no server saw it"
        )

    def reset(self) -> None:
        """Forget all waits."""
        self.count, self.longest_s = 0, 0.0

    def trace_config(self) -> aiohttp.TraceConfig:
        """Return hooks of a session that measure waits; the context of each request is its `ConnectionWait`."""
        config = aiohttp.TraceConfig()
        config.on_connection_queued_start.append(self._begin)
        config.on_connection_queued_end.append(self._end)
        return config

    async def _begin(self, _: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.since_s = self.clock_s()

    async def _end(self, _: object, context: SimpleNamespace, __: object) -> None:
        self.end(context.trace_request_ctx)

    def end(self, wait: ConnectionWait) -> None:
        """Record a wait, if there was one."""
        if wait.since_s is not None:
            wait.lasted_s, wait.since_s = self.clock_s() - wait.since_s, None
            self.count += 1
            self.longest_s = max(self.longest_s, wait.lasted_s)
