"""Requests go to the worker that would finish them first."""

from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, Final

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker

_FINISH_S: Final = attrgetter("finish_s")


@dataclass(frozen=True, kw_only=True)
class SoonestFinish:
    """A request goes to the worker with room that would finish it first; among equals, to the one that joined first.

    Each decision computes a forecast for every worker of `RoutableFleet.with_room`.
    """

    name: ClassVar[str] = "soonest-finish"

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the worker that would finish the request first."""
        workers = fleet.with_room
        if len(workers) <= 1:
            return workers[0] if workers else None
        return min(workers, key=_FINISH_S)
