"""From a curve of popularity to combinations of adapters with counts."""

from collections.abc import Sequence

import numpy as np

from safelight.traces.synthesis.rounding import Counts, Weights, apportion

ALIKE = 0.8
"""Adapters are a pair only if the less popular one is used at least so often, as a share, as the other one."""


def uses_by_rank(cumulative: Sequence[tuple[int, float]], *, adapters: int, uses: int) -> Weights:
    """Return how often the adapter of each rank is used.

    Args:
        cumulative: points of the curve: how many of the most popular adapters, and the percentage of uses that is
            theirs.
        adapters: how many there are; beyond the last point, uses decline evenly to 1.
        uses: of all of them.
    """
    ranks, percents = np.array([(0, 0.0), *cumulative]).T
    known = int(ranks[-1])
    by_rank = np.diff(np.interp(np.arange(known + 1), ranks, percents)) * (uses / 100)
    left, rest = uses * (1 - percents[-1] / 100), adapters - known
    tail = np.linspace(2 * left / rest - 1, 1, rest)
    return np.concatenate([by_rank, tail * (left / tail.sum())])


def geometric_tail(adapters: int, uses: int, *, most: int) -> Counts:
    """Return uses that shrink by one ratio from `most` on, are never below 1, and add up to `uses`."""
    low, high = 0.0, 1.0
    for _ in range(60):
        ratio = (low + high) / 2
        total = np.maximum(most * ratio ** np.arange(adapters), 1).sum()
        low, high = (ratio, high) if total < uses else (low, ratio)
    return apportion(np.maximum(most * low ** np.arange(adapters), 1), uses)


def singles_and_pairs(by_rank: Weights, *, singles: int, pairs: int) -> tuple[list[tuple[int, ...]], Counts]:
    """Make each adapter a combination of its own or half of a pair, from the most popular ones on.

    Returns:
        The combinations, as ranks from 0, and how many requests have each: `singles` requests with one adapter and
        `pairs` with two, give or take a few.
    """
    share_alone = singles / (singles + 2 * pairs)
    combinations: list[tuple[int, ...]] = []
    requests: list[float] = []
    alone = together = 0.0
    rank = 0
    while rank < len(by_rank):
        one, *two = by_rank[rank : rank + 2].tolist()
        off_if_alone = abs(alone + one - share_alone * (alone + together + one))
        off_if_paired = abs(alone - share_alone * (alone + together + one + sum(two)))
        if two and two[0] >= ALIKE * one and off_if_paired < off_if_alone:
            combinations.append((rank, rank + 1))
            requests.append((one + two[0]) / 2)
            together += one + two[0]
        else:
            combinations.append((rank,))
            requests.append(one)
            alone += one
        rank += len(combinations[-1])
    return combinations, np.maximum(apportion(np.array(requests), singles + pairs), 1)
