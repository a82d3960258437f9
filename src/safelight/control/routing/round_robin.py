"""Requests go to all workers in turn."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker


@dataclass(frozen=True, kw_only=True)
class RoundRobin:
    """A request goes to the next worker that has room; turns are counted by requests."""

    name: ClassVar[str] = "round-robin"

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the worker whose turn it is among those with room."""
        workers = fleet.with_room
        return workers[request.sequence % len(workers)] if workers else None
