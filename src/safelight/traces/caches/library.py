"""Policies of libcachesim (Yang et al.), which comes with the extra `caches`."""

from collections.abc import Callable, Sequence

import libcachesim
import numpy as np

from safelight.traces.caches.lockstep import Hits
from safelight.traces.caches.lru import Integers
from safelight.traces.caches.policy import CachePolicy, Capacities
from safelight.traces.caches.stream import Stream

COUNTED = 16
"""What an adapter weighs where they are counted; half of it is added to each size, so that queues can be cut."""

MOST_UNITS = 1 << 20
"""Bytes are counted in units that make the largest cache so many: libcachesim's W-TinyLFU overflows at some GiB."""

_HASH_BITS = 8
"""Tables grow; libcachesim's own start would take 128 MiB for each cache."""

_Make = Callable[[int, int], libcachesim.Cache]


def _hits(make: _Make, stream: Stream, capacities: Capacities) -> Hits:
    hits = np.zeros((len(capacities.sizes), len(stream.keys)), np.bool_)
    if not len(stream.keys):
        return hits
    weights, sizes = _weighed(stream, capacities)
    _, first, numbers = np.unique(stream.keys, return_index=True, return_inverse=True)
    asked = [_request(number, weight) for number, weight in enumerate(weights[first].tolist(), 1)]
    accesses = [asked[number] for number in numbers.tolist()]
    starts = np.flatnonzero(np.diff(stream.instances, prepend=-1))
    parts = list(zip(starts.tolist(), [*starts[1:].tolist(), len(accesses)], strict=True))
    for row, size in zip(hits, sizes, strict=True):
        for start, end in parts:
            get = make(size, int(weights.max())).get
            row[start:end] = list(map(get, accesses[start:end]))
    return hits


def _weighed(stream: Stream, capacities: Capacities) -> tuple[Integers, Sequence[int]]:
    """Return the weight of each access and the sizes, in the units that libcachesim gets."""
    if capacities.weights is None:
        return np.full(len(stream.keys), COUNTED), [size * COUNTED + COUNTED // 2 for size in capacities.sizes]
    unit = -(-max(capacities.sizes) // MOST_UNITS)
    return -(-capacities.weights // unit), [size // unit for size in capacities.sizes]


def _request(number: int, weight: int) -> libcachesim.Request:
    request = libcachesim.Request()
    request.obj_id, request.obj_size = number, weight
    return request


def _s3fifo(size: int, largest: int) -> libcachesim.Cache:
    """Make the small queue a tenth of the cache, as its paper has it, but large enough for each adapter."""
    small = max(0.1, (largest + 1.5) / size)
    return libcachesim.S3FIFO(size, hashpower=_HASH_BITS, small_size_ratio=small)


def _wtinylfu(size: int, largest: int) -> libcachesim.Cache:
    """Make the window a hundredth of the cache, as its paper has it, but large enough for each adapter."""
    window = max(0.01, (largest + 1.5) / size)
    return libcachesim.WTinyLFU(size, hashpower=_HASH_BITS, window_size=window)


def _policy(name: str, title: str, make: _Make, *, least: int = 1) -> CachePolicy:
    return CachePolicy(name=name, title=title, hits=lambda stream, sizes: _hits(make, stream, sizes), least=least)


LIBRARY = (
    _policy("ARC", "ARC", lambda size, _: libcachesim.ARC(size, hashpower=_HASH_BITS)),
    _policy("S3FIFO", "S3-FIFO", _s3fifo, least=2),
    _policy("WTINYLFU", "W-TinyLFU", _wtinylfu, least=6),
    _policy("GDSF", "GDSF", lambda size, _: libcachesim.GDSF(size, hashpower=_HASH_BITS)),
)
