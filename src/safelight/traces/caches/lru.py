"""How deep in an LRU stack each access finds its key: one pass gives the hits of caches of every size.

A cache of `n` places hits just where the depth is at most `n` (Mattson et al., IBM Systems Journal 9(2), 1970).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.integer[Any]]

NEVER = 0
"""The depth of a key that was not seen before, or is deeper than was looked."""

FEW = 48
"""Up to here it is faster to look at the places one after the other than to count all depths."""


def depths(keys: Integers, *, at_most: int) -> Integers:
    """Return each access's depth in its LRU stack, from 1, and `NEVER` where it is over `at_most`.

    All accesses pass the first place of the stack at once: what it holds is what came before. Only those that miss go
    on to the second place, and push down there what they displaced; and so on. There is no loop over accesses.
    """
    if at_most > FEW:
        found = all_depths(keys)
        return np.where(found <= at_most, found, NEVER)
    depth = np.full(len(keys), NEVER, np.int8)
    wanted = pushed = _short(keys)
    accesses = np.arange(len(keys), dtype=np.int32)
    for place in range(1, at_most + 1):
        held = np.empty_like(pushed)
        held[:1], held[1:] = -1, pushed[:-1]
        is_hit = held == wanted
        depth[accesses.compress(is_hit)] = place
        missed = np.flatnonzero(~is_hit)
        wanted, pushed, accesses = wanted.take(missed), held.take(missed), accesses.take(missed)
    return depth


def all_depths(keys: Integers, weights: Integers | None = None) -> Integers:
    """Return each access's depth in its LRU stack, however deep, and `NEVER` for the first of a key.

    With weights of at least 1, such as bytes, that a key has at each access, the depth is the weight of the stack down
    to the key, its own too. It takes O(n log n) for n accesses.

    Of the accesses since the last one of the same key, those count that are the first of their keys. So from all of
    them are taken those whose own last access lies in between too, which are pairs that stand out of order.
    """
    before = last_accesses(keys)
    again = np.flatnonzero(before >= 0)
    weight = np.ones(len(keys), np.int64) if weights is None else weights
    so_far = np.concatenate(([0], np.cumsum(weight, dtype=np.int64)))
    between = so_far[again] - so_far[before[again] + 1]
    depth = np.full(len(keys), NEVER, np.int64)
    depth[again] = between - _weight_of_larger_before(before[again], weight[again]) + weight[again]
    return depth


def last_accesses(keys: Integers) -> Integers:
    """Return where each access's key was accessed last before, or -1."""
    order = np.argsort(_short(keys), kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    before = np.full(len(keys), -1, np.int64)
    before[order[1:][same]] = order[:-1][same]
    return before


def _weight_of_larger_before(values: Integers, weights: Integers) -> Integers:
    """Return for each of some distinct whole numbers the weight of the larger ones before it.

    Places are parted into halves, quarters and so on, each part in order of falling values: at each parting, what
    stands in the right half has the larger ones of the left half before it.
    """
    total = np.zeros(len(values), np.int64)
    order = np.argsort(-values).astype(np.int32)
    for bit in reversed(range(max(0, len(values) - 1).bit_length())):
        is_left = (order >> bit & 1) == 0
        at_left, at_right = np.flatnonzero(is_left), np.flatnonzero(~is_left)
        left, right = order[at_left], order[at_right]
        start_of_left, start_of_right = _start(left, bit), _start(right, bit)
        lefts = np.concatenate(([0], np.cumsum(is_left, dtype=np.int32)))
        weight = np.concatenate(([0], np.cumsum(weights[left], dtype=np.int64)))
        total[right] += weight[lefts[at_right]] - weight[lefts[start_of_right]]
        order[start_of_left + lefts[at_left] - lefts[start_of_left]] = left
        order[(1 << bit) + at_right - lefts[at_right] + lefts[start_of_right]] = right
    return total


def _start(places: npt.NDArray[np.int32], bit: int) -> npt.NDArray[np.int32]:
    """Return where the part begins that is parted by this bit of the place."""
    return places >> (bit + 1) << (bit + 1)


def _short(keys: Integers) -> npt.NDArray[np.int32] | Integers:
    """Return keys in half the bytes where they fit."""
    return keys.astype(np.int32) if len(keys) and keys.max() < 1 << 31 else keys
