"""Seconds of one denoiser call as a function of its rows."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from safelight.core.model import StepTime


class StepCurve:
    """A rising line through measured step times.

    Between measurements it is linear. Below the first it is constant. Beyond the last it continues with the slope of
    the last segment or of the whole line, whichever is steeper; with a single measurement, time is proportional to
    rows. A measurement below an earlier one is noise and is raised to it, so that more rows never take less time.
    """

    def __init__(self, step_times: Sequence[StepTime]) -> None:
        if not step_times:
            raise ValueError("A step curve needs at least one measured step time.")
        knots = sorted((time.denoiser_rows, time.seconds) for time in step_times)
        self._rows = [rows for rows, _ in knots]
        self._seconds = _lifted([seconds for _, seconds in knots])
        self._slope = self._slope_beyond()
        self._known: dict[int, float] = {}

    def seconds(self, denoiser_rows: int) -> float:
        """Return the seconds of one call over `denoiser_rows` rows, at the size that was measured."""
        known = self._known.get(denoiser_rows)
        if known is None:
            known = self._known[denoiser_rows] = self._interpolate(denoiser_rows)
        return known

    def _interpolate(self, rows: int) -> float:
        if rows <= self._rows[0]:
            return self._seconds[0]
        if rows >= self._rows[-1]:
            return self._seconds[-1] + (rows - self._rows[-1]) * self._slope
        right = bisect_left(self._rows, rows)
        left = right - 1
        share = (rows - self._rows[left]) / (self._rows[right] - self._rows[left])
        return self._seconds[left] + share * (self._seconds[right] - self._seconds[left])

    def _slope_beyond(self) -> float:
        knots = list(zip(self._rows, self._seconds, strict=True))
        if len(knots) == 1:
            rows, seconds = knots[0]
            return seconds / rows
        return max(_slope(knots[0], knots[-1]), _slope(knots[-2], knots[-1]))


def _lifted(seconds: Sequence[float]) -> list[float]:
    lifted = list(seconds)
    for left, right in pairwise(range(len(lifted))):
        lifted[right] = max(lifted[left], lifted[right])
    return lifted


def _slope(left: tuple[int, float], right: tuple[int, float]) -> float:
    return (right[1] - left[1]) / (right[0] - left[0])
