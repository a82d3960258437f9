"""Confidence intervals over runs with different seeds."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over runs, with its interval.

    Attributes:
        mean: over the runs that have the figure.
        low, high: the 95 % interval for the mean (Student's t); None with fewer than two runs.
        n: how many runs have the figure.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float | None], *, least: float = -math.inf, most: float = math.inf) -> Estimate | None:
    """Return the mean of `values` that are not None, with its interval; None if there is none.

    Args:
        values: of the runs.
        least: what none can be below; the interval is cut there.
        most: what none can exceed; likewise.
    """
    known = np.array([value for value in values if value is not None], float)
    n = len(known)
    if n == 0:
        return None
    mean = float(known.mean())
    if n == 1:
        return Estimate(mean=mean, low=None, high=None, n=1)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * float(known.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean=mean, low=max(least, mean - half), high=min(most, mean + half), n=n)
