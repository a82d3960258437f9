"""Requests go to the worker with the least work left."""

from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, Final

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker

_WORK_LEFT_S: Final = attrgetter("work_left_s")


@dataclass(frozen=True, kw_only=True)
class LeastWork:
    """A request goes to the worker with room that has the fewest seconds of work left; among equals, to the first."""

    name: ClassVar[str] = "least-work"

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the worker with room that has the least work left."""
        return min(fleet.with_room, key=_WORK_LEFT_S, default=None)
