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

    def watch(self) -> None:
        """Sweep from now on, until there are no connections; called within the event loop."""
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(self._pause_s, self._sweep)

    def _sweep(self) -> None:
        self._next = None
        self._ledger.sweep(asyncio.get_running_loop().time())
        if self._ledger.open_count:
            self.watch()
