"""Seconds of one call over several prompts or pictures."""

from safelight.core.model import StepTime
from safelight.profiles.curve import StepCurve
from safelight.profiles.parts import Curve


class BatchTimes:
    """Seconds of one call by how many prompts or pictures it has.

    Beyond the measured ones, several calls are counted, so that nothing is faster than measured. Without
    measurements each takes as long as alone.
    """

    def __init__(self, curve: Curve, *, alone_s: float) -> None:
        points = curve or ((1, alone_s),)
        self._line = StepCurve(tuple(StepTime(denoiser_rows=int(count), seconds=seconds) for count, seconds in points))
        self._most = int(points[-1][0])

    def seconds(self, count: int) -> float:
        whole, rest = divmod(count, self._most)
        return whole * self._line.seconds(self._most) + (self._line.seconds(rest) if rest else 0.0)
