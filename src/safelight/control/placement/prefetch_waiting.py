"""Workers read ahead what waiting requests need."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final

from safelight.control.placement.protocol import NO_CHANGE, HomeOf, PlacementPlan, PlacementView, Reads
from safelight.control.waiting import WaitingQueue
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle

FIRST_REQUESTS: Final = 32
MOST_WORKERS: Final = 16


@dataclass(frozen=True, kw_only=True)
class PrefetchWaiting:
    """Each worker reads ahead the adapters of the first waiting requests that it may get.

    If the routing policy sends each request to a home, that worker reads ahead for it, else those with the least work
    left.

    Attributes:
        requests: how many of the first waiting requests count.
        workers: how many workers read ahead at most where requests have no homes.
    """

    name: ClassVar[str] = "prefetch-waiting"
    period_s: ClassVar[float | None] = None
    requests: int = FIRST_REQUESTS
    workers: int = MOST_WORKERS

    def reads(self, view: PlacementView) -> Reads:
        """Return the workers that read ahead, with what they read."""
        if view.home_of is not None:
            return self._at_home(view, view.home_of)
        chosen: Iterable[WorkerState] = view.workers
        if len(view.workers) > self.workers:
            chosen = heapq.nsmallest(self.workers, view.workers, key=lambda worker: worker.left_s)
        by_models: dict[tuple[str, ...], tuple[AdapterHandle, ...]] = {}
        wanted: list[tuple[WorkerState, tuple[AdapterHandle, ...]]] = []
        for worker in chosen:
            models = tuple(worker.paces)
            if models not in by_models:
                by_models[models] = self._wanted(view.waiting, models)
            wanted.append((worker, by_models[models]))
        return wanted

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Change nothing."""
        return NO_CHANGE

    def _at_home(self, view: PlacementView, home_of: HomeOf) -> Reads:
        """Return the homes of the first waiting requests with what these need, and the workers that read no longer."""
        homes: dict[WorkerState, dict[AdapterHandle, None]] = {
            worker: {} for worker in view.workers if worker.prefetched
        }
        for request in view.waiting.first(self.requests):
            if request.job.handles and (home := home_of(request)) is not None:
                homes.setdefault(home, {}).update(dict.fromkeys(request.job.handles))
        return [(worker, tuple(handles)) for worker, handles in homes.items()]

    def _wanted(self, waiting: WaitingQueue, models: Sequence[str]) -> tuple[AdapterHandle, ...]:
        """Return the adapters of the first waiting requests for `models`, each once, in order."""
        in_order = heapq.merge(*(waiting.of(model) for model in models), key=lambda request: request.place)
        first = islice(in_order, self.requests)
        return tuple(dict.fromkeys(handle for request in first for handle in request.job.handles))
