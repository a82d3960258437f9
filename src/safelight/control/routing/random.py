"""Requests go to pseudo-random workers."""

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker
from safelight.control.routing.pseudo_random import draws

TRIES: Final = 4


@dataclass(frozen=True, kw_only=True)
class Random:
    """A request goes to a pseudo-random worker with room.

    The numbers depend on the place of the request in the order of arrival alone.

    Attributes:
        seed: for another series of choices.
        tries: how many workers are drawn from all; then one of `RoutableFleet.with_room` is.
    """

    name: ClassVar[str] = "random"
    seed: int = 0
    tries: int = TRIES

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the first worker with room that is drawn, or None while none has room."""
        workers, drawn = fleet.workers, draws(self.seed ^ request.sequence)
        for number in islice(drawn, self.tries):
            worker = workers[number % len(workers)]
            if worker.has_room:
                return worker
        others = fleet.with_room
        return others[next(drawn) % len(others)] if others else None
