"""How long requests wait for a connection inside the client, where there may be only so many."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp

from safelight.bench.formatting import format_seconds


@dataclass
class ConnectionWait:
    """One exchange's: since when it waits, while it does, and how long it has waited."""

    since_s: float | None = None
    lasted_s: float = 0.0


@dataclass
class ConnectionWaits:
    """The waits of a load."""

    clock_s: Callable[[], float] = field(repr=False)
    count: int = 0
    longest_s: float = 0.0

    @property
    def words(self) -> str:
        """What a reader of the figures should know; nothing where nobody waited."""
        if not self.count:
            return ""
        return (
            f"{self.count:,} times a request waited for one of the --connections, up to {format_seconds(self.longest_s)}; "
            "latencies have that in them, though no server saw it"
        )

    def forget(self) -> None:
        """Begin anew."""
        self.count, self.longest_s = 0, 0.0

    def trace_config(self) -> aiohttp.TraceConfig:
        """Return what has a session tell of them; each exchange brings its `Wait`."""
        config = aiohttp.TraceConfig()
        config.on_connection_queued_start.append(self._begin)
        config.on_connection_queued_end.append(self._end)
        return config

    async def _begin(self, _: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.since_s = self.clock_s()

    async def _end(self, _: object, context: SimpleNamespace, __: object) -> None:
        self.end(context.trace_request_ctx)

    def end(self, wait: ConnectionWait) -> None:
        """Count a wait, if there was one."""
        if wait.since_s is not None:
            wait.lasted_s, wait.since_s = self.clock_s() - wait.since_s, None
            self.count += 1
            self.longest_s = max(self.longest_s, wait.lasted_s)
