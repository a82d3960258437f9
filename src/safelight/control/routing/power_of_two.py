"""Requests go to the better one of two pseudo-random workers."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.routing.protocol import RoutableFleet, RoutedRequest, Worker
from safelight.control.routing.pseudo_random import draws


@dataclass(frozen=True, kw_only=True)
class PowerOfTwo:
    """A request goes to the one of two pseudo-random workers that has less work left.

    (Mitzenmacher, The power of two choices in randomized load balancing, IEEE TPDS 12, 2001.) If neither has room, two
    of `RoutableFleet.with_room` are drawn.

    Attributes:
        seed: for another series of choices.
    """

    name: ClassVar[str] = "power-of-two"
    seed: int = 0

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the drawn worker with room that has less work left, or None while none has room."""
        drawn = draws(self.seed ^ request.sequence)
        for workers in (fleet.workers, fleet.with_room):
            if not workers:
                return None
            first = next(drawn) % len(workers)
            second = (first + 1 + next(drawn) % max(1, len(workers) - 1)) % len(workers)
            pair = [workers[place] for place in (first, second)]
            with_room = [worker for worker in pair if worker.has_room]
            if with_room:
                return min(with_room, key=lambda worker: worker.work_left_s)
        return None
