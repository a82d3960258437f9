"""The queue of requests that wait for a worker, with the work ahead of each place."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from sortedcontainers import SortedKeyList

from safelight.control.batch import Kind
from safelight.control.order_policies import Place
from safelight.control.request_state import RequestState
from safelight.core.request import ImageRequest

LONGEST_BLOCK: Final = 512


class WaitingQueue:
    """Waiting requests of all models; the time of each operation hardly grows with their number."""

    def __init__(self) -> None:
        self._by_model: dict[str, SortedKeyList[RequestState, Place]] = {}
        self._in_order: SortedKeyList[RequestState, Place] = SortedKeyList(key=_place)
        self._work = WorkIndex()
        self.held_bytes = 0
        self.of_tenant = Counter[str]()
        self.held_bytes_of_tenant = Counter[str]()
        self.with_adapters = 0
        self.kinds = Counter[Kind]()

    def __len__(self) -> int:
        return len(self._in_order)

    def __iter__(self) -> Iterator[RequestState]:
        return iter(self._in_order)

    def __contains__(self, request: RequestState) -> bool:
        return request in self._in_order

    @property
    def models(self) -> tuple[str, ...]:
        """The models that requests wait for."""
        return tuple(self._by_model)

    @property
    def work_s(self) -> float:
        """Seconds of a full worker's time for all of them."""
        return self._work.total_s

    def add(self, request: RequestState) -> None:
        self._in_order.add(request)
        self._by_model.setdefault(request.model, SortedKeyList(key=_place)).add(request)
        self._work.add(request.place, request.work_s)
        self.held_bytes += request.request.held_bytes
        self.of_tenant[request.request.tenant] += 1
        self.held_bytes_of_tenant[request.request.tenant] += request.request.held_bytes
        self.with_adapters += bool(request.job.adapters)
        self.kinds[request.job.kind] += 1

    def remove(self, request: RequestState) -> None:
        self._in_order.remove(request)
        own = self._by_model[request.model]
        own.remove(request)
        if not own:
            del self._by_model[request.model]
        self._work.remove(request.place, request.work_s)
        self.held_bytes -= request.request.held_bytes
        self._leave_tenant(request.request)
        self.with_adapters -= bool(request.job.adapters)
        self.kinds[request.job.kind] -= 1
        if not self.kinds[request.job.kind]:
            del self.kinds[request.job.kind]

    def _leave_tenant(self, request: ImageRequest) -> None:
        """Keep counts of tenants with waiting requests only."""
        self.of_tenant[request.tenant] -= 1
        self.held_bytes_of_tenant[request.tenant] -= request.held_bytes
        if not self.of_tenant[request.tenant]:
            del self.of_tenant[request.tenant], self.held_bytes_of_tenant[request.tenant]

    def of(self, model: str) -> Iterator[RequestState]:
        """Yield the requests that wait for `model`, in order."""
        return iter(self._by_model.get(model, ()))

    def first(self, count: int) -> Iterator[RequestState]:
        """Yield the first `count`, in order."""
        return islice(self._in_order, count)

    def position(self, request: RequestState) -> int:
        """Return how many requests go before `request`, which need not be queued."""
        return int(self._in_order.bisect_key_left(request.place))

    def work_ahead_s(self, place: Place) -> float:
        """Return the seconds of a full worker's time for all requests before `place`."""
        return self._work.ahead_of(place)


class WorkIndex:
    """Prefix sums of seconds by place: sorted blocks, with the sum of each."""

    def __init__(self, *, longest_block: int = LONGEST_BLOCK) -> None:
        self._longest_block = longest_block
        self._blocks: list[list[tuple[Place, float]]] = [[]]
        self._firsts: list[Place] = [()]
        self._sums: list[float] = [0.0]

    @property
    def total_s(self) -> float:
        return sum(self._sums)

    def add(self, place: Place, seconds: float) -> None:
        """Add work at a new place."""
        number = self._block_of(place)
        block = self._blocks[number]
        insort(block, (place, seconds))
        self._sums[number] += seconds
        if len(block) > self._longest_block:
            self._replace(number, block[: len(block) // 2], block[len(block) // 2 :])

    def remove(self, place: Place, seconds: float) -> None:
        """Remove work that was added."""
        number = self._block_of(place)
        block = self._blocks[number]
        del block[bisect_left(block, (place, seconds))]
        self._sums[number] = self._sums[number] - seconds if block else 0.0
        if not block and number:
            self._replace(number)

    def ahead_of(self, place: Place) -> float:
        """Return the sum of the seconds before `place`."""
        number = self._block_of(place)
        block = self._blocks[number]
        before = islice(block, bisect_left(block, (place,)))
        return sum(chain(islice(self._sums, number), (seconds for _, seconds in before)))

    def _block_of(self, place: Place) -> int:
        return bisect_right(self._firsts, place, lo=1) - 1

    def _replace(self, number: int, *blocks: list[tuple[Place, float]]) -> None:
        """Replace a block by others; the first block of all begins before every place."""
        end = number + 1
        self._blocks[number:end] = blocks
        self._sums[number:end] = (sum(seconds for _, seconds in block) for block in blocks)
        self._firsts[number:end] = (block[0][0] if number or index else () for index, block in enumerate(blocks))


def _place(request: RequestState) -> Place:
    return request.place
