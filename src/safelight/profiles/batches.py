"""Seconds of one call over several prompts or pictures."""

from safelight.profiles.curve import StepCurve
from safelight.core.model import StepTime
from safelight.profiles.parts import Curve


def batch_seconds(curve: Curve, count: int, *, alone_s: float) -> float:
    """Return the seconds of one call over `count` of them, by what was measured of 1 and more.

    Beyond the measured ones they take several calls, so that nothing is faster than measured. Without measurements
    each takes `alone_s`.
    """
    if not curve:
        return count * alone_s
    most = int(curve[-1][0])
    whole, rest = divmod(count, most)
    line = StepCurve(tuple(StepTime(denoiser_rows=int(size), seconds=seconds) for size, seconds in curve))
    return whole * line.seconds(most) + (line.seconds(rest) if rest else 0.0)
