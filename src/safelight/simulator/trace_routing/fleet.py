"""A simulated fleet that routing policies choose from."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Final

from safelight.control.routing.load_ranking import LoadRanking
from safelight.control.routing.protocol import RoutedRequest, RoutingPolicy
from safelight.simulator.errors import RequestNotRouted

PLACES: Final = 10
"""In the cache of a worker."""


class SimulatedWorker:
    """Works on one request at a time, in order of arrival, and always has room for one more."""

    __slots__ = ("_fleet", "assigned", "cached", "free_s", "number")

    has_room = True
    batch_rows = 1

    def __init__(self, fleet: "SimulatedFleet", number: int) -> None:
        self._fleet = fleet
        self.number = number
        self.free_s = 0.0
        self.assigned = 0
        self.cached = OrderedDict[int, None]()

    @property
    def load(self) -> int:
        """How many requests it has not finished yet."""
        self._fleet.advance()
        return self.assigned

    @property
    def finish_s(self) -> float:
        """When the request that has just arrived would be finished here."""
        return max(self.free_s, self._fleet.now_s) + self._fleet.work_s

    @property
    def work_left_s(self) -> float:
        """Seconds until it has finished all its requests."""
        return max(0.0, self.free_s - self._fleet.now_s)

    @property
    def rows_by_composition(self) -> tuple[int, ...]:
        """A row for each of its requests: compositions never share a call."""
        return (self.load,)


class SimulatedFleet:
    """Workers that serve every request.

    Loads are brought up to date only when a policy asks for them.

    Attributes:
        workers: all of them.
        with_room: all of them too.
        now_s: when the last request arrived.
        work_s: how long that request keeps a worker busy.
        places: how many adapters a worker keeps, the last used ones, of those that requests are routed by.
    """

    def __init__(self, size: int, *, places: int = PLACES) -> None:
        self.workers: Sequence[SimulatedWorker] = [SimulatedWorker(self, number) for number in range(size)]
        self.with_room = self.workers
        self.now_s = self.work_s = 0.0
        self.places = places
        self._request: RoutedRequest | None = None
        self._uncached: list[tuple[SimulatedWorker, int]] = []
        self._hosts: dict[int, dict[SimulatedWorker, None]] = {}
        self._total_load = 0
        self._uncounted: list[tuple[float, float, int]] = []
        self._endings: list[tuple[float, int]] = []
        self._changed = list(self.workers)
        self._ranking = LoadRanking[SimulatedWorker]()

    @property
    def total_load(self) -> int:
        """How many requests are not finished yet."""
        self.advance()
        return self._total_load

    @property
    def least_loaded(self) -> SimulatedWorker | None:
        """The worker with the smallest load; among equals, the one whose load changed longest ago."""
        self.advance()
        for worker in self._changed:
            self._ranking.update(worker, worker.assigned)
        self._changed.clear()
        return self._ranking.first

    @property
    def hosting(self) -> Sequence[SimulatedWorker]:
        """The workers that keep the adapter of the request that has just arrived."""
        request = self._request
        if request is None or not request.has_adapter:
            return self.with_room
        for worker, key in self._uncached:
            self._use(worker, key)
        self._uncached.clear()
        return list(self._hosts.get(request.key, ()))

    def _use(self, worker: SimulatedWorker, key: int) -> None:
        if key in worker.cached:
            worker.cached.move_to_end(key)
            return
        worker.cached[key] = None
        self._hosts.setdefault(key, {})[worker] = None
        if len(worker.cached) > self.places:
            oldest, _ = worker.cached.popitem(last=False)
            del self._hosts[oldest][worker]

    def route(
        self, policy: RoutingPolicy, arrivals: Iterable[tuple[RoutedRequest, float, float]]
    ) -> Iterator[SimulatedWorker]:
        """Give each request to the worker that `policy` chooses, and yield that worker.

        Args:
            policy: the rule.
            arrivals: requests, when each arrives, never before the last one, and how long it keeps a worker busy.

        Raises:
            RequestNotRouted: if the policy chooses none.
        """
        choose, count, cache = policy.choose, self._uncounted.append, self._uncached.append
        for request, now_s, work_s in arrivals:
            self.now_s, self.work_s, self._request = now_s, work_s, request
            worker = choose(request, self, now_s)
            if worker is None:
                raise RequestNotRouted(policy.name, request.sequence)
            worker.free_s = end_s = max(worker.free_s, now_s) + work_s
            count((now_s, end_s, worker.number))
            if request.has_adapter:
                cache((worker, request.key))
            yield worker

    def advance(self) -> None:
        """Bring loads up to the last arrival, without the request that has just arrived."""
        for now_s, end_s, number in self._uncounted:
            self._end_until(now_s)
            worker = self.workers[number]
            worker.assigned += 1
            self._total_load += 1
            self._changed.append(worker)
            heappush(self._endings, (end_s, number))
        self._uncounted.clear()
        self._end_until(self.now_s)

    def _end_until(self, now_s: float) -> None:
        endings, workers = self._endings, self.workers
        while endings and endings[0][0] <= now_s:
            worker = workers[heappop(endings)[1]]
            worker.assigned -= 1
            self._total_load -= 1
            self._changed.append(worker)
