"""Arrivals as a trace has them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from safelight.traces.arrivals.process import ArrivalProcess, Times
from safelight.traces.arrivals.renewal import Constant
from safelight.traces.errors import BadArrivals


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The arrivals of a trace, over and over.

    Over `Constant`, these very arrivals; over `Poisson`, new ones that are as frequent at each moment as the trace's.
    At another rate than the trace's, time runs faster or slower.

    Attributes:
        times_s: of the trace, in order.
        of: what arrives on the trace's clock, on which it has one arrival in each unit of time.
    """

    times_s: Sequence[float] | Times
    of: ArrivalProcess = field(default_factory=Constant)
    name: ClassVar = "recorded"

    def __post_init__(self) -> None:
        times_s = np.asarray(self.times_s, float)
        if len(times_s) < 2 or not times_s[-1] > times_s[0]:
            raise BadArrivals("The recording", f"{len(times_s)} arrivals", "it must span some time")
        if not (np.diff(times_s) >= 0).all():
            raise BadArrivals("The recording", "times that go back", "arrivals must be in order")

    @property
    def rate(self) -> float:
        """Arrivals per second of the trace; this times a speed is the rate to ask for."""
        return len(self.times_s) / self._period_s

    @property
    def _period_s(self) -> float:
        """From the first arrival to where it comes again: a mean gap after the last one."""
        count = len(self.times_s)
        return float(self.times_s[-1] - self.times_s[0]) * count / (count - 1)

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give the other process's arrivals, seen from the even clock."""
        count, stretch = len(self.times_s), self.rate / rate
        knots_s = np.append(np.asarray(self.times_s, float) - self.times_s[0], self._period_s)
        for block in self.of.blocks(1.0, rng):
            rounds, rest = np.divmod(block, count)
            yield (rounds * self._period_s + np.interp(rest, np.arange(count + 1), knots_s)) * stretch
