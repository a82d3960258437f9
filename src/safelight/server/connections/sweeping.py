"""Ends the connections whose time is over, as long as there are any."""

import asyncio

from safelight.server.connections.ledger import ConnectionLedger

LONGEST_PAUSE_S = 1.0
SHARE_OF_TIMEOUT = 0.1
"""A connection may live this share of the shortest timeout too long."""


class Sweeper:
    """Sweeps a ledger again and again while it has connections."""

    def __init__(self, ledger: ConnectionLedger) -> None:
        limits = ledger.limits
        shortest_s = min(limits.header_timeout_s, limits.idle_timeout_s, limits.write_timeout_s)
        self._pause_s = min(LONGEST_PAUSE_S, SHARE_OF_TIMEOUT * shortest_s)
        self._ledger = ledger
        self._next: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._was_late = False

    def watch(self) -> None:
        """Sweep from now on, until there are no connections; called within the event loop."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time() + self._pause_s
            self._next = loop.call_at(self._due, self._sweep)

    def _sweep(self) -> None:
        """Sweep, or wait once more if the loop was held up: what clients have sent meanwhile is read first."""
        self._next = None
        now = asyncio.get_running_loop().time()
        self._was_late = now - self._due > self._pause_s and not self._was_late
        if not self._was_late:
            self._ledger.sweep(now)
        if self._ledger.open_count:
            self.watch()
