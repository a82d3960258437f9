"""Arrivals by day and night."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from safelight.traces.arrivals.process import ArrivalProcess, Times
from safelight.traces.arrivals.renewal import Poisson
from safelight.traces.errors import BadArrivals

DAY_S = 86_400.0
_GRID = 2880
"""Knots of a period, between which the clock goes evenly."""


@dataclass(frozen=True, kw_only=True)
class Diurnal:
    """A rate that swings like a sine: lowest at the start of each period, highest in its middle.

    Attributes:
        amplitude: of the swing, as a share of the mean rate: 0 is none, at 1 nobody comes at night.
        period_s: of the swing.
        of: what arrives on that clock.
    """

    amplitude: float = 0.5
    period_s: float = DAY_S
    of: ArrivalProcess = field(default_factory=Poisson)
    name: ClassVar = "diurnal"

    def __post_init__(self) -> None:
        if not 0 <= self.amplitude <= 1:
            raise BadArrivals("The amplitude of the day", self.amplitude, "it must be between 0 and 1")
        if not (np.isfinite(self.period_s) and self.period_s > 0):
            raise BadArrivals("The period", self.period_s, "it must be a positive number of seconds")

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give the other process's arrivals, seen from the even clock."""
        phases = np.linspace(0, 1, _GRID + 1)
        elapsed = phases - self.amplitude * np.sin(2 * np.pi * phases) / (2 * np.pi)
        for block in self.of.blocks(rate, rng):
            periods, rest = np.divmod(block / self.period_s, 1)
            yield (periods + np.interp(rest, elapsed, phases)) * self.period_s
