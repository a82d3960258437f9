"""Arrivals in bursts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from safelight.traces.arrivals.process import BLOCK, ArrivalProcess, Times
from safelight.traces.arrivals.renewal import Poisson
from safelight.traces.errors import BadArrivals


@dataclass(frozen=True, kw_only=True)
class Bursty:
    """A rate that jumps between two levels at random moments: over Poisson, a Markov-modulated Poisson process.

    Attributes:
        factor: by how much the rate is higher in a burst than between bursts.
        share: of the time that is in bursts.
        burst_s: how long a burst takes on average.
        of: what arrives on that clock.
    """

    factor: float = 5.0
    share: float = 0.1
    burst_s: float = 60.0
    of: ArrivalProcess = field(default_factory=Poisson)
    name: ClassVar = "bursty"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.factor) and self.factor >= 1):
            raise BadArrivals("The factor of bursts", self.factor, "it must be at least 1")
        if not 0 < self.share < 1:
            raise BadArrivals("The share of bursts", self.share, "it must be between 0 and 1")
        if not (np.isfinite(self.burst_s) and self.burst_s > 0):
            raise BadArrivals("The length of bursts", self.burst_s, "it must be a positive number of seconds")

    @property
    def levels(self) -> tuple[float, float]:
        """The rates between bursts and in bursts, as multiples of the mean rate."""
        quiet = 1 / (1 - self.share + self.share * self.factor)
        return quiet, quiet * self.factor

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give the other process's arrivals, seen from the even clock."""
        clock = self._clock(rng)
        times, elapsed = np.zeros(1), np.zeros(1)
        for block in self.of.blocks(rate, rng):
            while elapsed[-1] < block[-1]:
                more_times, more_elapsed = next(clock)
                times = np.concatenate([times, times[-1] + more_times])
                elapsed = np.concatenate([elapsed, elapsed[-1] + more_elapsed])
            yield np.interp(block, elapsed, times)
            passed = int(np.searchsorted(elapsed, block[-1], side="right")) - 1
            times, elapsed = times[passed:], elapsed[passed:]

    def _clock(self, rng: np.random.Generator) -> Iterator[tuple[Times, Times]]:
        """Give knots of the clock, counted from the last one: time, and time on the clock that arrivals go by."""
        is_burst = np.arange(BLOCK) % 2 == (0 if rng.random() < self.share else 1)
        quiet_s = self.burst_s * (1 - self.share) / self.share
        lengths_s, levels = np.where(is_burst, self.burst_s, quiet_s), np.where(is_burst, *self.levels[::-1])
        while True:
            stays_s = rng.exponential(size=BLOCK) * lengths_s
            yield np.cumsum(stays_s), np.cumsum(stays_s * levels)
