"""The live workers, indexed so that no decision scans all of them.

A suspected worker is in no index, but it keeps its requests.
"""

from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from sortedcontainers import SortedKeyList

from safelight.control.batch import Kind
from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle
from safelight.core.work import AdapterLoaded

COMPARED_WORKERS: Final = 16
"""At most this many workers with room are compared with each other for a request: the least loaded ones."""


class ModelWorkers:
    """The workers that serve one model: all that are not suspected, in order of joining, and the open ones by load.

    Among open ones of equal load, the one whose load changed longest ago comes first.
    """

    def __init__(self) -> None:
        self.all: list[WorkerState] = []
        self.open: SortedKeyList[WorkerState, tuple[int, int]] = SortedKeyList(key=_load)
        self.load = 0

    @property
    def idle(self) -> Iterator[WorkerState]:
        """Workers without requests."""
        for worker in self.open:
            if not worker.is_empty:
                return
            yield worker


class Workers:
    """Every live worker by name; requests are taken and released here, which updates the indexes.

    Attributes:
        kinds: how many of the held requests are of each kind.
        roster: changes whenever a worker joins or leaves, is suspected or trusted again.
    """

    def __init__(self) -> None:
        self.kinds = Counter[Kind]()
        self._hosts: dict[AdapterHandle, dict[WorkerState, None]] = {}
        self._by_name: dict[str, WorkerState] = {}
        self._by_model: dict[str, ModelWorkers] = {}
        self.roster = 0
        self._changes = 0
        self._suspected = 0

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def responsive(self) -> Sequence[WorkerState]:
        """Those that are not suspected, in order of joining."""
        return [worker for worker in self if not worker.is_suspected] if self._suspected else list(self)

    @property
    def suspected_count(self) -> int:
        """How many are suspected."""
        return self._suspected

    def __iter__(self) -> Iterator[WorkerState]:
        """Yield them in order of joining."""
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str | None) -> WorkerState | None:
        return None if name is None else self._by_name.get(name)

    @property
    def by_model(self) -> Mapping[str, ModelWorkers]:
        """The workers of each model that is served."""
        return self._by_model

    def serving(self, model: str) -> Sequence[WorkerState]:
        """Return the workers that serve `model`, in order of joining; not to be changed."""
        own = self._by_model.get(model)
        return () if own is None else own.all

    def with_space(self, model: str) -> Sequence[WorkerState]:
        """Return those that may take anything, by load."""
        own = self._by_model.get(model)
        return () if own is None else own.open

    def load(self, model: str) -> int:
        """Return how many requests the workers that serve `model` have."""
        own = self._by_model.get(model)
        return 0 if own is None else own.load

    def hosting(self, handle: AdapterHandle) -> Collection[WorkerState]:
        """Return the workers that have an adapter on the device, in order of its loads; not to be changed."""
        return self._hosts.get(handle, {}).keys()

    def adapter_loaded(self, worker: WorkerState, event: AdapterLoaded, weights_bytes: int) -> None:
        """Note that an adapter is on the device of a worker."""
        worker.adapter_loaded(event, weights_bytes)
        self._hosts.setdefault(event.handle, {})[worker] = None

    def adapter_evicted(self, worker: WorkerState, handle: AdapterHandle) -> None:
        """Note that an adapter is no longer on the device of a worker."""
        worker.adapter_evicted(handle)
        self._drop_host(worker, handle)

    def _drop_host(self, worker: WorkerState, handle: AdapterHandle) -> None:
        hosts = self._hosts.get(handle, {})
        hosts.pop(worker, None)
        if not hosts:
            self._hosts.pop(handle, None)

    def add(self, worker: WorkerState) -> None:
        self.roster += 1
        self._changes += 1
        worker.number = worker.change = self._changes
        self._by_name[worker.name] = worker
        self._index(worker)

    def suspect(self, worker: WorkerState) -> None:
        """Leave a worker out of all decisions about new work."""
        self.roster += 1
        self._drop_from_index(worker)
        worker.is_suspected = True
        self._suspected += 1

    def trust(self, worker: WorkerState) -> None:
        """Take back a worker that was suspected."""
        self.roster += 1
        worker.is_suspected = False
        self._suspected -= 1
        self._index(worker)

    def remove(self, name: str) -> WorkerState | None:
        """Forget a worker with all that it holds; returns it."""
        worker = self._by_name.pop(name, None)
        if worker is None:
            return None
        self.roster += 1
        if worker.is_suspected:
            self._suspected -= 1
        else:
            self._drop_from_index(worker)
        for request in worker.requests.values():
            self._forget_kind(request)
        for handle in worker.resident:
            self._drop_host(worker, handle)
        return worker

    def take(self, worker: WorkerState, request: RequestState) -> None:
        """Give `request` to `worker`."""
        self._unlist(worker)
        worker.take(request)
        self.kinds[request.job.kind] += 1
        self._list(worker, 1)

    def release(self, worker: WorkerState, request: RequestState) -> None:
        """`worker` no longer has `request`."""
        if request.is_pausing:
            worker.release(request)
            return
        self._unlist(worker)
        worker.release(request)
        self._forget_kind(request)
        self._list(worker, -1)

    def begin_pause(self, worker: WorkerState, request: RequestState) -> None:
        """`worker` is asked to stop `request`, and has room for others from now on."""
        self._unlist(worker)
        worker.begin_pause(request)
        self._forget_kind(request)
        self._list(worker, -1)

    def _forget_kind(self, request: RequestState) -> None:
        kind = request.job.kind
        self.kinds[kind] -= 1
        if not self.kinds[kind]:
            del self.kinds[kind]

    def _index(self, worker: WorkerState) -> None:
        for model in worker.paces:
            own = self._by_model.setdefault(model, ModelWorkers())
            insort(own.all, worker, key=_number)
            own.load += worker.load
            if worker.is_open:
                own.open.add(worker)

    def _drop_from_index(self, worker: WorkerState) -> None:
        for model in worker.paces:
            own = self._by_model[model]
            own.all.remove(worker)
            own.load -= worker.load
            if worker.is_open:
                own.open.remove(worker)
            if not own.all:
                del self._by_model[model]

    def _unlist(self, worker: WorkerState) -> None:
        if worker.is_open:
            for model in worker.paces:
                self._by_model[model].open.remove(worker)

    def _list(self, worker: WorkerState, more: int) -> None:
        self._changes += 1
        worker.change = self._changes
        if worker.is_suspected:
            return
        is_open = worker.is_open
        for model in worker.paces:
            own = self._by_model[model]
            own.load += more
            if is_open:
                own.open.add(worker)


def _number(worker: WorkerState) -> int:
    return worker.number


def _load(worker: WorkerState) -> tuple[int, int]:
    return worker.load, worker.change
