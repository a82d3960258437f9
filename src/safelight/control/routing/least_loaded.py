"""Requests go to the least loaded worker."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker


@dataclass(frozen=True, kw_only=True)
class LeastLoaded:
    """A request goes to a worker with the smallest load; among equals, to the one whose load changed longest ago."""

    name: ClassVar[str] = "least-loaded"

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the least loaded worker with room."""
        return fleet.least_loaded
