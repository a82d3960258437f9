"""The protocol of routing policies, and their view of a fleet."""

import hashlib
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Protocol, TypeVar, runtime_checkable

import msgspec


class RoutedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a routing policy sees it.

    Attributes:
        sequence: how many requests were accepted before it.
        key: equal for requests of one adapter, otherwise pseudo-random; see `routing_key`.
        has_adapter: whether it needs any adapter.
    """

    sequence: int
    key: int
    has_adapter: bool = True


class RoutableWorker(Protocol):
    """A worker as a policy sees it, for one request and one moment."""

    @property
    def load(self) -> int:
        """How many requests it has that are not finished."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether it can take the request now."""
        ...

    @property
    def finish_s(self) -> float:
        """When the request would be finished there; the computation may be expensive."""
        ...

    @property
    def work_left_s(self) -> float:
        """Seconds of work that are left for all its requests."""
        ...

    @property
    def batch_rows(self) -> int:
        """How many denoiser rows one of its calls takes."""
        ...

    @property
    def rows_by_composition(self) -> Collection[int]:
        """Denoiser rows of its unfinished requests, summed for each composition of LoRAs."""
        ...


Worker = TypeVar("Worker", bound=RoutableWorker)
AnyMember = TypeVar("AnyMember")
AnyWorker_co = TypeVar("AnyWorker_co", bound=RoutableWorker, covariant=True)


class RoutableFleet(Protocol[AnyWorker_co]):
    """The live workers that serve a request's model, for one request and one moment."""

    @property
    def workers(self) -> Sequence[AnyWorker_co]:
        """All of them, in order of joining; at least one."""
        ...

    @property
    def with_room(self) -> Sequence[AnyWorker_co]:
        """Those that have room for the request now, in order of joining.

        A large fleet may leave out workers with high loads, so that a decision costs the same whatever its size.
        """
        ...

    @property
    def hosting(self) -> Sequence[AnyWorker_co]:
        """Those that have room and all adapters of the request on the device; a large fleet may leave out some."""
        ...

    @property
    def total_load(self) -> int:
        """The sum of the loads of `workers`."""
        ...

    @property
    def least_loaded(self) -> AnyWorker_co | None:
        """The one of `with_room` with the smallest load; among equals, the one whose load changed longest ago."""
        ...


class RoutingPolicy(Protocol):
    """Chooses the worker of each request.

    It holds constants only: equal arguments give equal choices.
    """

    @property
    def name(self) -> str:
        """The name by which users choose it."""
        ...

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return a worker that has room, or None to let the request wait, even if some worker has room."""
        ...


@runtime_checkable
class HomedRouting(Protocol):
    """A routing policy that prefers one worker for a request, whichever have room."""

    def home(self, request: RoutedRequest, workers: Sequence[AnyMember]) -> AnyMember:
        """Return the preferred one of the workers that serve the request's model, at least one, in order of joining."""
        ...


@lru_cache(maxsize=1 << 16)
def routing_key(adapter: str) -> int:
    """Return the key of requests with this adapter, from 0 to 2^56 - 1."""
    return int.from_bytes(hashlib.blake2b(adapter.encode(), digest_size=7).digest())
