"""Requests of one adapter go to one worker, within a bound on its load."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from safelight.control.routing.protocol import AnyMember, RoutableFleet, RoutedRequest, Worker

DEFAULT_BOUND: Final = 1.25


@dataclass(frozen=True, kw_only=True)
class Affinity:
    """A request goes to the worker that its adapter hashes to, or to the next one that is not full.

    A worker is full if it has no room, or if it would have more than `bound` times the mean load, rounded up
    (consistent hashing with bounded loads: Mirrokni, Thorup and Zadimoghaddam, SODA 2018).

    Attributes:
        bound: at least 1.
    """

    name: ClassVar[str] = "affinity"
    bound: float = DEFAULT_BOUND

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the first worker that is not full, starting with the adapter's own, or None if all are full."""
        workers = fleet.workers
        most = self.bound * (fleet.total_load + 1) / len(workers)
        home = request.key % len(workers)
        worker = workers[home]
        if worker.load < most and worker.has_room:
            return worker
        for index in range(home + 1, home + len(workers)):
            worker = workers[index % len(workers)]
            if worker.load < most and worker.has_room:
                return worker
        return None

    def home(self, request: RoutedRequest, workers: Sequence[AnyMember]) -> AnyMember:
        """Return the adapter's own worker."""
        return workers[request.key % len(workers)]
