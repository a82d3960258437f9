"""Placement policies: which adapters workers read before a request needs them there."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final, Protocol

from safelight.control.waiting import WaitingQueue
from safelight.control.worker_state import WorkerState
from safelight.control.workers import Workers
from safelight.core.adapter import AdapterHandle

FIRST_REQUESTS: Final = 32
MOST_WORKERS: Final = 16


class PlacementPolicy(Protocol):
    """Chooses the adapters that workers read ahead."""

    @property
    def name(self) -> str: ...

    def prefetches(
        self, waiting: WaitingQueue, workers: Workers
    ) -> Sequence[tuple[WorkerState, tuple[AdapterHandle, ...]]]:
        """Return some workers, each with the adapters that it should read ahead, soonest needed first."""
        ...


@dataclass(frozen=True, kw_only=True)
class PrefetchWaiting:
    """Each worker reads ahead the adapters of the first waiting requests that it may get.

    Attributes:
        requests: how many of the first waiting requests count.
        workers: how many workers read ahead at most: those with the least work left.
    """

    name: ClassVar[str] = "prefetch-waiting"
    requests: int = FIRST_REQUESTS
    workers: int = MOST_WORKERS

    def prefetches(
        self, waiting: WaitingQueue, workers: Workers
    ) -> Sequence[tuple[WorkerState, tuple[AdapterHandle, ...]]]:
        chosen: Iterable[WorkerState] = workers
        if len(workers) > self.workers:
            chosen = heapq.nsmallest(self.workers, workers, key=lambda worker: worker.left_s)
        by_models: dict[tuple[str, ...], tuple[AdapterHandle, ...]] = {}
        wanted: list[tuple[WorkerState, tuple[AdapterHandle, ...]]] = []
        for worker in chosen:
            models = tuple(worker.paces)
            if models not in by_models:
                by_models[models] = self._wanted(waiting, models)
            wanted.append((worker, by_models[models]))
        return wanted

    def _wanted(self, waiting: WaitingQueue, models: Sequence[str]) -> tuple[AdapterHandle, ...]:
        """Return the adapters of the first waiting requests for `models`, each once, in order."""
        in_order = heapq.merge(*(waiting.of(model) for model in models), key=lambda request: request.place)
        first = islice(in_order, self.requests)
        return tuple(dict.fromkeys(handle for request in first for handle in request.job.handles))


@dataclass(frozen=True, kw_only=True)
class NoPrefetch:
    """Workers read adapters only when they get a request that needs them."""

    name: ClassVar[str] = "no-prefetch"

    def prefetches(
        self, waiting: WaitingQueue, workers: Workers
    ) -> Sequence[tuple[WorkerState, tuple[AdapterHandle, ...]]]:
        return ()


PLACEMENT_POLICIES: Final[tuple[PlacementPolicy, ...]] = (PrefetchWaiting(), NoPrefetch())
