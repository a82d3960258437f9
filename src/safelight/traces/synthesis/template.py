"""What the synthesis knows of a service whose requests it imitates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from safelight.traces.arrivals.process import ArrivalProcess
from safelight.traces.schema import AdapterColumn
from safelight.traces.synthesis.rounding import Counts, Weights

MOST_REQUESTS = 20_000_000
"""Synthesized traces are kept in memory, and so are those that they imitate."""

Combination = tuple[str | None, ...]
"""Names of adapters in the order of a request; empty where it has none."""


@dataclass(frozen=True, kw_only=True)
class InstanceRequests:
    """The requests of one instance, in no order yet.

    Attributes:
        choices: for each kind of adapters, each request's combination, as a place in `Assignment.combinations`.
        rows: the row of `ServiceTemplate.table` that each request comes from, if there is a table.
    """

    choices: dict[AdapterColumn, Counts]
    rows: Counts | None = None

    def __len__(self) -> int:
        """Return how many requests these are."""
        some = self.rows if self.rows is not None else next(iter(self.choices.values()))
        return len(some)


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The requests of all instances of a service; `combinations` are by kind of adapters."""

    combinations: dict[AdapterColumn, Sequence[Combination]]
    instances: Sequence[InstanceRequests]


class ServiceTemplate(Protocol):
    """One service of a trace that is known, in full or by its statistics.

    Attributes:
        service: its name, if it has one.
        requests: how many it has.
        instances: how many serve them.
        rate: requests per second, of all instances together.
        is_by_the_second: whether arrivals are in whole seconds.
        arrivals: the process by which requests arrive.
        depths: for each kind of adapters, of all uses, the share of those that find their adapter to be the first,
            second, ... tenth one by the time of its last use on that instance, and the rest.
        table: canonical requests from which the synthesized ones take what the other attributes leave open.
    """

    service: str | None
    requests: int
    instances: int
    rate: float
    is_by_the_second: bool
    arrivals: ArrivalProcess
    depths: dict[AdapterColumn, Weights]
    table: pl.DataFrame | None

    def assign(self, requests: int, instances: int, *, skew: float, rng: np.random.Generator) -> Assignment:
        """Return the requests of each of so many instances.

        Args:
            requests: of all instances together.
            instances: at least 1, at most as many as requests.
            skew: combinations of LoRAs are as popular as they are in the original, raised to this power.
            rng: the only source of randomness.
        """
        ...


def spread(available: int, wanted: int) -> Counts:
    """Return which of `available` instances stand for `wanted` ones: evenly spaced, perhaps repeatedly."""
    return np.floor((np.arange(wanted) + 0.5) * available / wanted).astype(np.int64)
