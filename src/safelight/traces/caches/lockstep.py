"""Caches that evict the place of lowest rank, for policies of which one pass cannot give the hits of every size.

The caches of all instances and sizes take a step at once: step `t` is the `t`-th access of every instance, so there are
as many steps as the busiest instance has accesses. A place is one number, from the highest bits to the lowest its rank,
the step of its last access, and which place it is; the least number is evicted. A key is in a cache just where the
place that it was last put into still tells the step of that access.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.traces.caches.lru import last_accesses
from safelight.traces.caches.stream import Integers, Stream
from safelight.traces.errors import TraceError

Hits = npt.NDArray[np.bool_]

BITS = 62


class TooMuchToReplay(TraceError):
    """More accesses of one instance, or more places, than a number can hold."""

    def __init__(self, steps: int, places: int) -> None:
        super().__init__(
            f"An instance has {steps:,} accesses, which cannot be replayed with {places:,} places in all; "
            "ask for fewer or smaller sizes."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Steps:
    """A stream in steps: all first accesses, then all second ones, and so on; busy instances come first in each.

    Attributes:
        lanes: how many instances take each step.
        place: (accesses,) where in the steps each access of the stream is.
        before: (accesses,) where in the steps the last access of the same key is, or -1.
        step: (accesses,) the number of the step, from 1.
        most_keys: how many keys there are at the instance that has the most; no cache needs more places.
    """

    lanes: Integers
    place: Integers
    before: Integers
    step: Integers
    most_keys: int


def lfu_hits(stream: Stream, sizes: Sequence[int]) -> Hits:
    """Return which accesses hit, (sizes, accesses), where the key with the fewest uses is evicted.

    Uses count while a key is held. Of keys with equally many, the one goes that has had so many for the longest time.
    """
    return _replay(stream, sizes, soon=None)


def belady_hits(stream: Stream, sizes: Sequence[int]) -> Hits:
    """Return which accesses hit, (sizes, accesses), where the key goes whose next use is farthest.

    That may be the one just used. No policy can hit more often (Belady, IBM Systems Journal 5(2), 1966).
    """
    steps = _steps(stream)
    soon = np.zeros(len(stream.keys), np.int64)
    has_before = np.flatnonzero(steps.before >= 0)
    soon[steps.before[has_before]] = len(steps.lanes) + 1 - steps.step[has_before]
    return _replay(stream, sizes, soon=soon)


def _replay(stream: Stream, sizes: Sequence[int], *, soon: Integers | None) -> Hits:
    """Replay in lockstep; ranks are how soon the next use is, or else the number of uses.

    Raises:
        TooMuchToReplay: if ranks, steps and places do not fit into a number together.
    """
    steps = _steps(stream)
    places = np.minimum(sizes, max(1, steps.most_keys))
    place_bits, step_bits = _bits(len(steps.lanes), int(places.max()))
    rank_bit = place_bits + step_bits
    which, step_of = (1 << place_bits) - 1, (1 << rank_bit) - (1 << place_bits)
    caches, instances = len(sizes), int(steps.lanes.max(initial=0))
    held = _empty(places, instances)
    flat, stride = held.reshape(-1), caches * instances
    base = np.arange(stride).reshape(caches, instances)
    expected = np.where(steps.before < 0, -1, steps.step[steps.before] << place_bits)
    before = steps.before.clip(0)
    put = np.zeros((len(before), caches), np.min_scalar_type(places.max()))
    hits = np.empty((caches, len(before)), np.bool_)
    begin = 0
    for step, count in enumerate(steps.lanes.tolist(), 1):
        end = begin + count
        put_into = put.take(before[begin:end], axis=0).T
        found = flat.take(np.multiply(put_into, stride, dtype=np.int64) + base[:, :count])
        hit = (found & step_of) == expected[begin:end]
        lowest = held[:, :, :count].min(axis=0)
        place = np.where(hit, put_into, lowest & which)
        rank = (found >> rank_bit) * hit + 1 if soon is None else soon[begin:end]
        kept = (rank << rank_bit) + (place + (step << place_bits))
        if soon is not None:
            kept = np.where(hit, kept, np.maximum(kept, lowest))
        flat[place * stride + base[:, :count]] = kept
        put[begin:end] = place.T
        hits[:, begin:end] = hit
        begin = end
    return hits.take(steps.place, axis=1)


def _empty(places: Integers, instances: int) -> Integers:
    """Return the places of empty caches, (places, caches, instances); those that a cache lacks are never the least."""
    number = np.arange(places.max())[:, None, None]
    exists = number < places[:, None]
    return np.where(exists, number, np.iinfo(np.int64).max) + np.zeros(instances, np.int64)


def _bits(steps: int, places: int) -> tuple[int, int]:
    """Return how many bits a place takes, and how many a step, or a rank, which is no more; raises TooMuchToReplay."""
    place_bits, step_bits = places.bit_length(), (steps + 1).bit_length()
    if place_bits + 2 * step_bits > BITS:
        raise TooMuchToReplay(steps, places)
    return place_bits, step_bits


def _steps(stream: Stream) -> _Steps:
    starts = np.flatnonzero(np.diff(stream.instances, prepend=-1))
    lengths = np.diff(np.append(starts, len(stream.keys)))
    lane = np.empty(len(starts), np.int64)
    lane[np.argsort(-lengths, kind="stable")] = np.arange(len(starts))
    turn = np.arange(len(stream.keys)) - np.repeat(starts, lengths)
    lanes = np.bincount(turn)
    place = (np.cumsum(lanes) - lanes)[turn] + np.repeat(lane, lengths)
    last = last_accesses(stream.keys)
    before = np.empty(len(place), np.int64)
    before[place] = np.where(last < 0, -1, place[last])
    step = np.repeat(np.arange(1, len(lanes) + 1), lanes)
    most_keys = int(np.bincount(stream.instances[last < 0]).max(initial=0))
    return _Steps(lanes=lanes, place=place, before=before, step=step, most_keys=most_keys)
