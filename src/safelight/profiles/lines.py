"""Values on a line through measured points."""

from bisect import bisect_left
from collections.abc import Iterable

from safelight.profiles.parts import Curve


def value_between(points: Iterable[tuple[float, float]], at: float) -> float | None:
    """Return the value at one of the points or between two of them; None beyond them."""
    known = sorted(points)
    if not known or not known[0][0] <= at <= known[-1][0]:
        return None
    return value_at(tuple(known), at)


def value_at(curve: Curve, at: float) -> float:
    """Return the value of a curve, level beyond its ends."""
    right = bisect_left(curve, at, key=lambda point: point[0])
    if right == len(curve):
        return curve[-1][1]
    (high, after) = curve[right]
    if right == 0 or high == at:
        return after
    low, before = curve[right - 1]
    return before + (after - before) * (at - low) / (high - low)
