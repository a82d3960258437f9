"""Arrivals with independent gaps of one distribution: constant, Poisson, Gamma."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from safelight.traces.arrivals.process import BLOCK, Times
from safelight.traces.errors import BadArrivals


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The same gap every time; the first request arrives at once."""

    name: ClassVar = "constant"

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give `0, 1 / rate, 2 / rate, ...`, each exactly a quotient, so that no error adds up."""
        start = 0
        while True:
            yield np.arange(start, start + BLOCK) / rate
            start += BLOCK


@dataclass(frozen=True, kw_only=True)
class Poisson:
    """Exponential gaps: many users who do not know each other."""

    name: ClassVar = "poisson"

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give sums of exponential gaps."""
        return _sums(lambda: rng.exponential(size=BLOCK), rate)


@dataclass(frozen=True, kw_only=True)
class Gamma:
    """Gamma gaps with a coefficient of variation: more even than Poisson below 1, more bursty above."""

    cv: float
    name: ClassVar = "gamma"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.cv) and self.cv > 0):
            raise BadArrivals("The coefficient of variation", self.cv, "it must be positive; 1 is Poisson")

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give sums of Gamma gaps."""
        shape = self.cv**-2
        return _sums(lambda: rng.gamma(shape, 1 / shape, size=BLOCK), rate)


def _sums(gaps: Callable[[], Times], rate: float) -> Iterator[Times]:
    """Add up gaps whose mean is 1, for arrivals of this rate."""
    start = 0.0
    while True:
        sums = start + np.cumsum(gaps())
        start = float(sums[-1])
        yield sums / rate
