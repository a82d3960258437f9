"""What a synthesized trace is to be like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from safelight.traces.arrivals.process import ArrivalProcess
from safelight.traces.schema import AdapterColumn
from safelight.traces.synthesis.rounding import Counts, Weights

Combination = tuple[str | None, ...]
"""Names of adapters in the order of a request; empty where it has none."""


@dataclass(frozen=True, kw_only=True)
class Hand:
    """The requests of one instance, in no order yet.

    Attributes:
        cards: for each kind of adapters, each request's combination, as a place in `Dealt.combinations`.
        rows: the row of `Likeness.table` that each request is like, if there is a table; it goes with the LoRAs.
    """

    cards: dict[AdapterColumn, Counts]
    rows: Counts | None = None

    def __len__(self) -> int:
        """Return how many requests these are."""
        return len(next(iter(self.cards.values())))


@dataclass(frozen=True, kw_only=True)
class Dealt:
    """What all instances of a service were dealt; `combinations` are by kind."""

    combinations: dict[AdapterColumn, Sequence[Combination]]
    hands: Sequence[Hand]


class Likeness(Protocol):
    """One service of a trace that is known, in full or by its statistics.

    Attributes:
        service: its name, if it has one.
        requests: how many it has.
        instances: how many serve them.
        rate: requests per second, of all instances together.
        is_by_the_second: whether it tells arrivals in whole seconds.
        arrivals: as what requests arrive.
        depths: for each kind of adapters, of all uses, the share of those that find their adapter to be the first,
            second, ... tenth one by the time of its last use on that instance, and the rest.
        table: canonical requests that the synthesized ones are like in all that is not told by the other attributes.
    """

    service: str | None
    requests: int
    instances: int
    rate: float
    is_by_the_second: bool
    arrivals: ArrivalProcess
    depths: dict[AdapterColumn, Weights]
    table: pl.DataFrame | None

    def deal(self, requests: int, instances: int, *, skew: float, rng: np.random.Generator) -> Dealt:
        """Return what each of so many instances is asked for.

        Args:
            requests: of all instances together.
            instances: at least 1, at most as many as requests.
            skew: combinations of LoRAs are as popular as they are in the original, raised to this power.
            rng: the only source of luck.
        """
        ...


def spread(available: int, wanted: int) -> Counts:
    """Return which of `available` instances, by size, stand for `wanted` ones: evenly spaced, perhaps repeatedly."""
    return np.floor((np.arange(wanted) + 0.5) * available / wanted).astype(np.int64)
