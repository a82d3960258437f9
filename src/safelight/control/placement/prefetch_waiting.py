"""Workers read ahead what waiting requests need."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final

from safelight.control.placement.protocol import NO_CHANGE, PlacementPlan, PlacementView, Reads
from safelight.control.request_state import RequestState
from safelight.control.waiting import WaitingQueue
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle

FIRST_REQUESTS: Final = 32
MOST_WORKERS: Final = 16


@dataclass(frozen=True, kw_only=True)
class PrefetchWaiting:
    """Each worker reads ahead the adapters of the first waiting requests that it may get.

    A request that the routing policy has a home for counts for that worker only, and the others for those with the
    least work left.

    Attributes:
        requests: how many of the first waiting requests count.
        workers: how many workers read ahead at most for requests without a home.
    """

    name: ClassVar[str] = "prefetch-waiting"
    period_s: ClassVar[float | None] = None
    requests: int = FIRST_REQUESTS
    workers: int = MOST_WORKERS

    def reads(self, view: PlacementView) -> Reads:
        """Return the workers that read ahead, with what they read."""
        homes = self._by_home(view)
        chosen: Iterable[WorkerState] = view.workers
        if len(view.workers) > self.workers:
            least = heapq.nsmallest(self.workers, view.workers, key=lambda worker: worker.left_s)
            chosen = dict.fromkeys([*least, *homes])
        by_models: dict[tuple[str, ...], list[tuple[int, AdapterHandle]]] = {}
        wanted: list[tuple[WorkerState, tuple[AdapterHandle, ...]]] = []
        for worker in chosen:
            models = tuple(worker.paces)
            if models not in by_models:
                by_models[models] = self._wanted(view, models)
            in_order = heapq.merge(by_models[models], homes.get(worker, ()), key=lambda each: each[0])
            wanted.append((worker, tuple(dict.fromkeys(handle for _, handle in in_order))))
        return wanted

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Change nothing."""
        return NO_CHANGE

    def _by_home(self, view: PlacementView) -> dict[WorkerState, list[tuple[int, AdapterHandle]]]:
        """Return the adapters of the first waiting requests with a home, with their places in line, by worker."""
        homes: dict[WorkerState, list[tuple[int, AdapterHandle]]] = {}
        for number, request in enumerate(view.waiting.first(self.requests)):
            if request.job.handles and (home := view.home_of(request)) is not None:
                homes.setdefault(home, []).extend((number, handle) for handle in request.job.handles)
        return homes

    def _wanted(self, view: PlacementView, models: Sequence[str]) -> list[tuple[int, AdapterHandle]]:
        """Return the adapters of the first waiting requests for `models` without a home, with their places in line."""
        first = islice(_in_order(view.waiting, models), self.requests)
        return [
            (number, handle)
            for number, request in enumerate(first)
            if request.job.handles and view.home_of(request) is None
            for handle in request.job.handles
        ]


def _in_order(waiting: WaitingQueue, models: Sequence[str]) -> Iterator[RequestState]:
    """Yield the requests that wait for `models`, in order."""
    return heapq.merge(*(waiting.of(model) for model in models), key=lambda request: request.place)
