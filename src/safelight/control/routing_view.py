"""The live workers as a routing policy sees them, for one request at one moment."""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Final, overload

from safelight.control.request_state import RequestState
from safelight.control.routing.protocol import RoutedRequest, routing_key
from safelight.control.worker_state import WorkerState
from safelight.control.workers import COMPARED_WORKERS, Workers

COMPARED_HOSTS: Final = 64
"""Of more workers that have an adapter, the least loaded ones of all workers are looked at first."""


class Candidate:
    """One worker as a routing policy sees it, for one request at one moment."""

    def __init__(self, worker: WorkerState, request: RequestState, *, is_claimed: bool, now: float) -> None:
        self.worker = worker
        self._request = request
        self._is_claimed = is_claimed
        self._now = now

    @property
    def load(self) -> int:
        """How many requests it has."""
        return self.worker.load

    @property
    def has_room(self) -> bool:
        """Whether it can take the request now."""
        return not self._is_claimed and self.worker.has_room(self._request)

    @property
    def finish_s(self) -> float:
        """When the request would be ready there."""
        return self.worker.finish_s(self._request, self._now)

    @property
    def work_left_s(self) -> float:
        """Seconds of the worker's time, in full calls, that are left for all its requests."""
        return self.worker.left_s

    @property
    def batch_rows(self) -> int:
        """How many denoiser rows one of its calls takes."""
        return self.worker.max_denoiser_rows

    @property
    def rows_by_composition(self) -> Collection[int]:
        """Denoiser rows of its requests, summed for each composition of LoRAs."""
        return self.worker.rows_by_composition


class RoutingView:
    """The workers that serve a request's model, except those that a request before it has claimed."""

    def __init__(
        self, request: RequestState, workers: Workers, *, claimed: Collection[WorkerState], now: float
    ) -> None:
        self._request = request
        self._all = workers.serving(request.model)
        self._claimed = claimed
        self._now = now
        self._live = workers
        self._open = workers.with_space(request.model)
        self.total_load = workers.load(request.model)
        self._with_room: Sequence[Candidate] | None = None

    @property
    def open(self) -> Iterator[WorkerState]:
        """Those that may take anything and are not claimed, by load."""
        return (worker for worker in self._open if worker not in self._claimed) if self._claimed else iter(self._open)

    @property
    def is_open(self) -> bool:
        return next(self.open, None) is not None

    @property
    def _fitting(self) -> Iterator[WorkerState]:
        request = self._request
        return (worker for worker in self.open if worker.has_room(request))

    @property
    def has_room(self) -> bool:
        """Whether some worker could take the request now."""
        return next(self._fitting, None) is not None

    @property
    def workers(self) -> Sequence[Candidate]:
        """All of them, in order of joining."""
        return _Candidates(self._all, self)

    @property
    def with_room(self) -> Sequence[Candidate]:
        """The least loaded ones that have room, in order of joining."""
        if self._with_room is None:
            fitting = sorted(islice(self._fitting, COMPARED_WORKERS), key=_by_number)
            self._with_room = [Candidate(worker, self._request, is_claimed=False, now=self._now) for worker in fitting]
        return self._with_room

    @cached_property
    def hosting(self) -> Sequence[Candidate]:
        """The least loaded ones that have room and all adapters of the request, in order of joining."""
        handles = self._request.job.handles
        if not handles:
            return self.with_room
        hosts = min((self._live.hosting(handle) for handle in handles), key=len)
        if not hosts:
            return []
        known = hosts if len(hosts) <= COMPARED_HOSTS else self._open
        with_all = (worker for worker in known if worker.resident >= set(handles) and self._may_take(worker))
        chosen = sorted(islice(with_all, COMPARED_HOSTS), key=_by_load)[:COMPARED_WORKERS]
        return [self.candidate(worker) for worker in sorted(chosen, key=_by_number)]

    def _may_take(self, worker: WorkerState) -> bool:
        return worker not in self._claimed and worker.serves(self._request.model) and worker.has_room(self._request)

    @property
    def least_loaded(self) -> Candidate | None:
        """The one with room that has the smallest load."""
        return next((self.candidate(worker) for worker in self._fitting), None)

    @property
    def routed(self) -> RoutedRequest:
        """The request as a policy sees it."""
        return routed(self._request)

    def can_have(self, chosen: Candidate) -> bool:
        """Whether the worker that a policy chose is a live one that can take the request now."""
        worker = chosen.worker
        is_live = self._live.get(worker.name) is worker and worker.serves(self._request.model)
        return is_live and worker not in self._claimed and worker.has_room(self._request)

    def candidate(self, worker: WorkerState) -> Candidate:
        return Candidate(worker, self._request, is_claimed=worker in self._claimed, now=self._now)


def routed(state: RequestState) -> RoutedRequest:
    """Return a request as a routing policy sees it; its key is that of its first LoRA, else of its first ControlNet."""
    request = state.request
    uses = request.loras or request.controlnets
    name = uses[0].name if uses else request.id
    return RoutedRequest(sequence=state.sequence, key=routing_key(name), has_adapter=bool(state.job.handles))


class _Candidates(Sequence[Candidate]):
    """Workers as candidates, which are created on access."""

    def __init__(self, workers: Sequence[WorkerState], view: RoutingView) -> None:
        self._workers = workers
        self._view = view

    def __len__(self) -> int:
        return len(self._workers)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...

    @overload
    def __getitem__(self, index: slice) -> list[Candidate]: ...

    def __getitem__(self, index: int | slice) -> Candidate | list[Candidate]:
        if isinstance(index, slice):
            return [self._view.candidate(worker) for worker in self._workers[index]]
        return self._view.candidate(self._workers[index])


def _by_number(worker: WorkerState) -> int:
    return worker.number


def _by_load(worker: WorkerState) -> tuple[int, int]:
    return worker.load, worker.change
