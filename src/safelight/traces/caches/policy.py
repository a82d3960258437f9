"""Which key goes when a cache is full: the policies that need no extra package."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from safelight.traces.caches.lockstep import Hits, belady_hits, lfu_hits
from safelight.traces.caches.lru import NEVER, Integers, all_depths, depths
from safelight.traces.caches.stream import Stream
from safelight.traces.errors import TraceError


@dataclass(frozen=True, kw_only=True)
class Capacities:
    """How much each cache holds, for some sizes of cache.

    Attributes:
        sizes: adapters, or bytes where `weights` are given; at least 1.
        weights: (accesses,) bytes of the adapter that is accessed, or None where adapters are counted.
    """

    sizes: Sequence[int]
    weights: Integers | None = None


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """One way to keep a cache.

    Attributes:
        name: as the command line has it.
        title: as its inventors write it.
        hits: tells which accesses of a stream hit, (sizes, accesses). What fits into no cache passes by.
        takes_bytes: whether it knows adapters of unequal size.
        least: the smallest cache that it can keep, in adapters; of bytes, as many times the largest adapter.
    """

    name: str
    title: str
    hits: Callable[[Stream, Capacities], Hits]
    takes_bytes: bool = True
    least: int = 1


class CountsOnly(TraceError):
    """A policy that does not know adapters of unequal size."""

    def __init__(self, policy: str) -> None:
        super().__init__(f"{policy} is only defined for adapters of equal size; give sizes in adapters, not in bytes.")


def hits_of(policy: CachePolicy, stream: Stream, capacities: Capacities) -> Hits:
    """Return which accesses hit; raises CountsOnly."""
    if capacities.weights is not None and not policy.takes_bytes:
        raise CountsOnly(policy.title)
    return policy.hits(stream, capacities)


def _lru(stream: Stream, capacities: Capacities) -> Hits:
    if capacities.weights is None:
        depth = depths(stream.keys, at_most=max(capacities.sizes))
        return np.stack([(depth != NEVER) & (depth <= size) for size in capacities.sizes])
    return np.stack([_lru_in_bytes(stream.keys, capacities.weights, size) for size in capacities.sizes])


def _lru_in_bytes(keys: Integers, weights: Integers, capacity: int) -> Hits:
    """Return which accesses hit where what is larger than the cache passes it by."""
    hits = np.zeros(len(keys), np.bool_)
    fits = np.flatnonzero(weights <= capacity)
    depth = all_depths(keys[fits], weights[fits])
    hits[fits] = (depth != NEVER) & (depth <= capacity)
    return hits


LRU = CachePolicy(name="LRU", title="LRU", hits=_lru)
LFU = CachePolicy(
    name="LFU", title="LFU", hits=lambda stream, capacities: lfu_hits(stream, capacities.sizes), takes_bytes=False
)
BELADY = CachePolicy(
    name="BELADY",
    title="Belady's bound",
    hits=lambda stream, capacities: belady_hits(stream, capacities.sizes),
    takes_bytes=False,
)
OWN = (LRU, LFU, BELADY)
LIBRARY_NAMES = ("ARC", "S3FIFO", "WTINYLFU", "GDSF")
"""Those that `safelight.traces.caches.library` adds where the extra `caches` is installed."""
