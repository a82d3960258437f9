"""The queue of requests that wait for a worker, with the work ahead of each place, and the room behind it."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, chain, islice
from operator import sub
from typing import Final

from sortedcontainers import SortedKeyList

from safelight.control.batch import Kind
from safelight.control.order.protocol import Place
from safelight.control.request_state import RequestState
from safelight.core.request import ImageRequest

LONGEST_BLOCK: Final = 256

ONE_POOL: Final = ""
"""The pool of models that no other pool is known of."""


class WaitingQueue:
    """Waiting requests of all models; the time of each operation hardly grows with their number."""

    def __init__(self) -> None:
        self._by_model: dict[str, SortedKeyList[RequestState, Place]] = {}
        self._in_order: SortedKeyList[RequestState, Place] = SortedKeyList(key=_place)
        self._coming: dict[str, RequestState] = {}
        self._pools: Mapping[str, str] = {}
        self._work: dict[str, WorkIndex] = {}
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
        return sum(index.total_s for index in self._work.values())

    @property
    def has_work(self) -> bool:
        """Whether anything waits, or is about to."""
        return bool(self._in_order or self._coming)

    @property
    def coming(self) -> Iterable[RequestState]:
        """Those that a worker is about to give back, without those that are withdrawn."""
        return (request for request in self._coming.values() if not request.is_withdrawn)

    def expect(self, request: RequestState) -> None:
        """Count the work and the limit of a request that a worker is about to give back, as if it waited."""
        self._coming[request.id] = request
        self._index(request.model).add(request.place, request.left_s, request.work_limit)

    def expect_no_more(self, request: RequestState) -> None:
        """Note that an expected request has come, or will not."""
        del self._coming[request.id]
        self._index(request.model).remove(request.place)

    def add(self, request: RequestState) -> None:
        self._in_order.add(request)
        self._by_model.setdefault(request.model, SortedKeyList(key=_place)).add(request)
        self._index(request.model).add(request.place, request.left_s, request.work_limit)
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
        self._index(request.model).remove(request.place)
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

    def count(self, model: str) -> int:
        """Return how many requests wait for `model`."""
        return len(self._by_model.get(model, ()))

    def first(self, count: int) -> Iterator[RequestState]:
        """Yield the first `count`, in order."""
        return islice(self._in_order, count)

    def position(self, request: RequestState) -> int:
        """Return how many requests go before `request`, which need not be queued."""
        return int(self._in_order.bisect_key_left(request.place))

    def work_ahead_s(self, place: Place, pool: str = ONE_POOL) -> float:
        """Return the seconds of a full worker's time for all requests of a pool before `place`."""
        index = self._work.get(pool)
        return 0.0 if index is None else index.ahead_of(place)

    def room_behind(self, place: Place, pool: str = ONE_POOL) -> float:
        """Return the least `work_limit` less the work ahead of it, over the requests of a pool behind `place`."""
        index = self._work.get(pool)
        return math.inf if index is None else index.room_behind(place)

    def pool_work_s(self, pool: str) -> float:
        """Return the seconds of a full worker's time for all requests of a pool."""
        index = self._work.get(pool)
        return 0.0 if index is None else index.total_s

    def move(self, request: RequestState, place: Place, work_limit: float) -> None:
        """Give a request another place, and another limit of the work ahead of it."""
        self.remove(request)
        request.place, request.work_limit = place, work_limit
        self.add(request)

    def regroup(self, pools: Mapping[str, str]) -> None:
        """Sum the work of each pool on its own; `pools` has the pool of each model. Work and limits may be new."""
        self._pools = pools
        self._work = {}
        for request in chain(self._in_order, self._coming.values()):
            self._index(request.model).add(request.place, request.left_s, request.work_limit)

    def _index(self, model: str) -> "WorkIndex":
        return self._work.setdefault(self._pools.get(model, ONE_POOL), WorkIndex())


class WorkIndex:
    """Sums of seconds by place, in sorted blocks: the work ahead of a place, and how much more those behind it allow.

    Each entry may limit the work ahead of it. A block keeps its sum, and its room: the least limit of its entries less
    the work ahead of each within the block.
    """

    def __init__(self, *, longest_block: int = LONGEST_BLOCK) -> None:
        self._longest_block = longest_block
        self._blocks = [_Block()]
        self._firsts: list[Place] = [()]
        self._sums = [0.0]
        self._rooms = [math.inf]
        self._stale: set[_Block] = set()

    @property
    def total_s(self) -> float:
        return sum(self._sums)

    def add(self, place: Place, seconds: float, limit: float = math.inf) -> None:
        """Add work at a new place, which stays in time while at most `limit` is ahead of it."""
        number = self._block_of(place)
        block = self._blocks[number]
        block.add(place, seconds, limit)
        self._changed(number)
        if len(block.places) > self._longest_block:
            halves = block.halves()
            self._blocks[number : number + 1] = halves
            self._sums[number : number + 1] = (half.sum_s for half in halves)
            self._rooms[number : number + 1] = (math.inf, math.inf)
            self._stale.discard(block)
            self._stale.update(halves)
            self._firsts.insert(number + 1, halves[1].places[0])

    def remove(self, place: Place, seconds: float = 0.0) -> None:
        """Remove work that was added."""
        number = self._block_of(place)
        self._blocks[number].remove(place)
        self._changed(number)
        if not self._blocks[number].places and number:
            self._stale.discard(self._blocks[number])
            for entries in (self._blocks, self._firsts, self._sums, self._rooms):
                del entries[number]

    def ahead_of(self, place: Place) -> float:
        """Return the sum of the seconds before `place`."""
        number = self._block_of(place)
        return sum(chain(islice(self._sums, number), self._blocks[number].before(place)))

    def room_behind(self, place: Place) -> float:
        """Return the least limit less the work ahead of it, over the entries behind `place`."""
        number = self._block_of(place)
        own = self._blocks[number]
        ahead_s = sum(islice(self._sums, number))
        ahead = accumulate(islice(self._sums, number + 1, None), initial=ahead_s + own.sum_s)
        rooms: Iterator[float] = map(sub, self._rooms_from(number + 1), ahead)
        own_room: float = own.room_from(bisect_right(own.places, place)) - ahead_s
        return min(own_room, min(rooms, default=math.inf))

    def _changed(self, number: int) -> None:
        self._sums[number] = self._blocks[number].sum_s
        self._stale.add(self._blocks[number])

    def _rooms_from(self, number: int) -> Iterator[float]:
        """Return the room of each block from one on; those that have changed are computed."""
        if self._stale:
            for index in [index for index, block in enumerate(self._blocks) if block in self._stale]:
                if index >= number:
                    self._rooms[index] = self._blocks[index].room_from(0)
                    self._stale.discard(self._blocks[index])
        return islice(self._rooms, number, None)

    def _block_of(self, place: Place) -> int:
        return bisect_right(self._firsts, place, lo=1) - 1


class _Block:
    """Entries in order of their places."""

    def __init__(
        self, places: Iterable[Place] = (), seconds: Iterable[float] = (), limits: Iterable[float] = ()
    ) -> None:
        self.places = list(places)
        self._seconds = list(seconds)
        self._limits = list(limits)
        self.sum_s = sum(self._seconds)

    def add(self, place: Place, seconds: float, limit: float) -> None:
        index = bisect_left(self.places, place)
        self.places.insert(index, place)
        self._seconds.insert(index, seconds)
        self._limits.insert(index, limit)
        self.sum_s += seconds

    def remove(self, place: Place) -> None:
        index = bisect_left(self.places, place)
        assert self.places[index] == place
        del self.places[index], self._limits[index]
        self.sum_s -= self._seconds.pop(index)
        if not self.places:
            self.sum_s = 0.0

    def before(self, place: Place) -> Iterator[float]:
        return islice(self._seconds, bisect_left(self.places, place))

    def room_from(self, start: int) -> float:
        """Return the least limit less the work ahead within the block, from an entry on."""
        rooms = map(sub, self._limits, accumulate(self._seconds, initial=0.0))
        return min(islice(rooms, start, None), default=math.inf)

    def halves(self) -> tuple["_Block", "_Block"]:
        middle = len(self.places) // 2
        first, second = slice(middle), slice(middle, None)
        return (
            _Block(self.places[first], self._seconds[first], self._limits[first]),
            _Block(self.places[second], self._seconds[second], self._limits[second]),
        )


def _place(request: RequestState) -> Place:
    return request.place
