"""Requests go to all workers in turn."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker


@dataclass(frozen=True, kw_only=True)
class RoundRobin:
    """A request goes to the worker whose turn it is, or if that has no room, to one of those that have.

    The turn passes with every accepted request.
    """

    name: ClassVar[str] = "round-robin"

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the worker whose turn it is, or another in its place, or None while none has room."""
        worker = fleet.workers[request.sequence % len(fleet.workers)]
        if worker.has_room:
            return worker
        others = fleet.with_room
        return others[request.sequence % len(others)] if others else None
