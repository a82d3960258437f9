"""What an arrival process is, and the ways to draw from one."""

from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from safelight.traces.errors import BadArrivals

Times = npt.NDArray[np.float64]
"""Seconds, in order."""


class ArrivalProcess(Protocol):
    """One way of arriving."""

    name: ClassVar[str]

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give arrival times without end, in blocks.

        Args:
            rate: arrivals per second, on average over a long time.
            rng: the only source of randomness.
        """
        ...


def first(process: ArrivalProcess, count: int, *, rate: float, rng: np.random.Generator) -> Times:
    """Return the first `count` arrivals.

    Raises:
        BadArrivals: if the rate is not positive and finite, or the count negative.
    """
    check_rate(rate)
    if count < 0:
        raise BadArrivals("The number of arrivals", count, "it cannot be negative")
    found, left = [np.empty(0)], count
    blocks = process.blocks(rate, rng)
    while left > 0:
        found.append(next(blocks)[:left])
        left -= len(found[-1])
    return np.concatenate(found)


def until(process: ArrivalProcess, horizon_s: float, *, rate: float, rng: np.random.Generator) -> Times:
    """Return the arrivals before `horizon_s`.

    Raises:
        BadArrivals: if the rate is not positive and finite, or the horizon is not finite.
    """
    check_rate(rate)
    if not np.isfinite(horizon_s):
        raise BadArrivals("The horizon", horizon_s, "it must be a finite number of seconds")
    found: list[Times] = []
    for block in process.blocks(rate, rng):
        found.append(block[: np.searchsorted(block, horizon_s)])
        if len(found[-1]) < len(block):
            break
    return np.concatenate(found)


def endless(process: ArrivalProcess, *, rate: float, rng: np.random.Generator) -> Iterator[float]:
    """Give one arrival after the other, for as long as somebody asks.

    Raises:
        BadArrivals: if the rate is not positive and finite.
    """
    check_rate(rate)
    return (time for block in process.blocks(rate, rng) for time in block.tolist())


def block_sizes() -> Iterator[int]:
    """Give even sizes for blocks: small ones for those who need few arrivals, then larger ones."""
    size = 64
    while True:
        yield size
        size = min(2 * size, 8192)


def check_rate(rate: float) -> None:
    """Raise BadArrivals unless this many arrivals per second can be."""
    if not (np.isfinite(rate) and rate > 0):
        raise BadArrivals("The rate", rate, "it must be a positive number of arrivals per second")
