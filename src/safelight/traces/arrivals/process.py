"""What an arrival process is, and the ways to draw from one."""

import itertools
from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from safelight.traces.errors import BadArrivals

Times = npt.NDArray[np.float64]
"""Seconds, in order."""

BLOCK = 4096


class ArrivalProcess(Protocol):
    """One way of arriving."""

    name: ClassVar[str]

    def blocks(self, rate: float, rng: np.random.Generator) -> Iterator[Times]:
        """Give arrival times without end, in blocks.

        Args:
            rate: arrivals per second, on average over a long time.
            rng: the only source of luck.
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
    found, blocks = np.empty(0), process.blocks(rate, rng)
    while len(found) < count:
        found = np.concatenate([found, *itertools.islice(blocks, max(1, (count - len(found)) // BLOCK))])
    return found[:count]


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


def check_rate(rate: float) -> None:
    """Raise BadArrivals unless this many arrivals per second can be."""
    if not (np.isfinite(rate) and rate > 0):
        raise BadArrivals("The rate", rate, "it must be a positive number of arrivals per second")
