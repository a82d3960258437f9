"""Repeated timings of one thing."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Final

REPEATS: Final = 7
MOST_S: Final = 6.0
"""A thing that takes long is repeated less often, so that its timing takes no longer, but twice at least."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of several runs of one thing."""

    seconds: tuple[float, ...]

    @property
    def typical_s(self) -> float:
        """The median."""
        return median(self.seconds)

    @property
    def mean_s(self) -> float:
        return fmean(self.seconds)

    @property
    def spread(self) -> float:
        """Standard deviation as a share of the mean."""
        if len(self.seconds) < 2 or self.mean_s <= 0:
            return 0.0
        return stdev(self.seconds) / self.mean_s


def timed(work: Callable[[], object], *, wait: Callable[[], None], repeats: int = REPEATS) -> Timing:
    """Run `work` once for nothing, and then several times; `wait` returns when the device has done all of it."""
    work()
    wait()
    taken: list[float] = []
    while len(taken) < repeats and (len(taken) < 2 or math.fsum(taken) < MOST_S):
        taken.append(once(work, wait=wait))
    return Timing(seconds=tuple(taken))


def once(work: Callable[[], object], *, wait: Callable[[], None]) -> float:
    """Return the seconds of one run."""
    started_s = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started_s
