"""Whole numbers in given proportions."""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64]


def apportion(weights: Weights | Counts, total: int, *, least: int = 0) -> Counts:
    """Split `total` in proportion, as exactly as whole numbers can; what is left over goes to the largest remainders.

    Shares below `least` are filled up from the largest ones; `total` must allow it.
    """
    exact = weights * (total / weights.sum())
    whole: Counts = np.floor(exact).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    lacking = int(np.maximum(least - whole, 0).sum())
    whole = np.maximum(whole, least)
    while lacking:
        spare = apportion(whole - least, min(lacking, int((whole - least).sum())))
        whole -= spare
        lacking -= int(spare.sum())
    return whole


def draw_whole(expected: Weights, total: int, rng: np.random.Generator) -> Counts:
    """Round numbers up or down at random, so that each is right on average, and every running sum is right but for 1.

    Systematic sampling: one random offset, and one unit at every whole step of the running sum.
    """
    if not total:
        return np.zeros(len(expected), np.int64)
    if not expected.any():
        expected = np.ones(len(expected))
    steps = np.cumsum(expected) * (total / expected.sum()) + rng.random()
    whole: Counts = np.diff(np.floor(steps).astype(np.int64), prepend=0)
    return whole
