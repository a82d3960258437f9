"""The services of any trace, from its requests."""

import numpy as np
import polars as pl

from safelight.traces.arrivals.process import ArrivalProcess
from safelight.traces.arrivals.recorded import Recorded
from safelight.traces.arrivals.renewal import Poisson
from safelight.traces.errors import BadArrivals, CannotSynthesize
from safelight.traces.schema import AdapterColumn, names_of
from safelight.traces.synthesis.likeness import MOST_REQUESTS, Combination, Dealt, Hand, spread
from safelight.traces.synthesis.rounding import Counts, Weights, apportion, draw_whole
from safelight.traces.synthesis.stack import NEAR, Stack

KINDS: tuple[AdapterColumn, ...] = ("controlnets", "loras")

NOT_ALIKE = (
    *("request_id", "origin", "arrival_s", "instance", "prompt", "negative_prompt", "inputs", "seed"),
    *("status", "reason", "queue_s", "retries", "steps_without_loras"),
)
"""What a request has for itself, and what became of it where it was served; prompts and inputs are private."""


def like_recorded(frame: pl.LazyFrame) -> "list[LikeRecorded]":
    """Return each service of a canonical trace as something to be like.

    Raises:
        CannotSynthesize: if there is no request, if there are more than can be kept in memory, or if they do not tell
            when they arrived.
    """
    count = frame.select(pl.len()).collect().item()
    if not 0 < count <= MOST_REQUESTS:
        raise CannotSynthesize(f"The trace has {count:,} requests; one can be like 1 to {MOST_REQUESTS:,} requests.")
    table = frame.collect().sort("arrival_s", maintain_order=True, nulls_last=True)
    whole = _arrivals(table)
    if whole is None:
        raise CannotSynthesize("The trace does not tell when its requests arrived, or all arrived at once.")
    return [
        LikeRecorded(of_service, _arrivals(of_service) or whole, share=len(of_service) / len(table))
        for of_service in table.partition_by("service", maintain_order=True)
    ]


class LikeRecorded:
    """One service of a trace; see `Likeness`."""

    def __init__(self, table: pl.DataFrame, arrivals: Recorded, *, share: float) -> None:
        """Take its statistics.

        Args:
            table: its requests, in order of arrival.
            arrivals: its own, or those of the whole trace if it has too few.
            share: of the whole trace that is this service's.
        """
        self.service: str | None = table["service"][0]
        self.requests = len(table)
        self._rows = _rows_by_instance(table)
        self.instances = len(self._rows)
        own = len(arrivals.times_s) == self.requests
        self.rate = arrivals.rate if own else arrivals.rate * share
        self.arrivals: ArrivalProcess = Recorded(times_s=arrivals.times_s, of=Poisson())
        self.is_by_the_second = bool((table["arrival_s"].drop_nulls() % 1 == 0).all())
        self._combinations: dict[AdapterColumn, list[Combination]] = {}
        self._cards: dict[AdapterColumn, Counts] = {}
        for kind in KINDS:
            if table[kind].null_count() < len(table):
                self._combinations[kind], self._cards[kind] = _combinations(table.select(names_of(kind)).to_series())
        self.depths = {kind: self._depths(kind) for kind in self._combinations}
        self.table: pl.DataFrame | None = table.drop(NOT_ALIKE)

    def deal(self, requests: int, instances: int, *, skew: float, rng: np.random.Generator) -> Dealt:
        """Return what each of so many instances is asked for: what an instance of the trace was asked for."""
        chosen = [self._rows[place] for place in spread(self.instances, instances).tolist()]
        counts = apportion(np.array([len(rows) for rows in chosen]), requests, least=1)
        odds = self._odds(skew)
        dealt = [
            np.repeat(rows, draw_whole(odds[rows], count, rng))
            for rows, count in zip(chosen, counts.tolist(), strict=True)
        ]
        return Dealt(
            combinations=dict(self._combinations),
            hands=[Hand(cards={kind: cards[rows] for kind, cards in self._cards.items()}, rows=rows) for rows in dealt],
        )

    def _odds(self, skew: float) -> Weights:
        """Return for each row how often it is wanted: once, or less or more often if its LoRAs are."""
        odds = np.ones(self.requests)
        if "loras" in self._cards and skew != 1:
            cards = self._cards["loras"]
            has_loras = np.array([bool(names) for names in self._combinations["loras"]])[cards]
            popularity = np.bincount(cards)[cards[has_loras]] ** (skew - 1)
            odds[has_loras] = popularity / popularity.mean() if has_loras.any() else 1
        return odds

    def _depths(self, kind: AdapterColumn) -> Weights:
        uses = [0] * (NEAR + 1)
        combinations, cards = self._combinations[kind], self._cards[kind]
        for rows in self._rows:
            stack = Stack(uses)
            for card in cards[rows].tolist():
                for name in combinations[card]:
                    stack.use(name)
        uses[NEAR] += not any(uses)
        return np.array(uses) / sum(uses)


def _arrivals(table: pl.DataFrame) -> Recorded | None:
    times_s = table["arrival_s"].drop_nulls().to_numpy()
    try:
        return Recorded(times_s=times_s)
    except BadArrivals:
        return None


def _rows_by_instance(table: pl.DataFrame) -> list[Counts]:
    """Return the rows of each instance, in order of arrival, the instance with the most first."""
    groups = table.with_row_index("row").group_by("instance", maintain_order=True).agg("row")
    rows = [np.array(each, np.int64) for each in groups["row"]]
    return sorted(rows, key=len, reverse=True)


def _combinations(lists: pl.Series) -> tuple[list[Combination], Counts]:
    """Return all combinations of adapters, and which one each request has."""
    places: dict[Combination, int] = {}
    cards = [places.setdefault(tuple(names or ()), len(places)) for names in lists.to_list()]
    return list(places), np.array(cards, np.int64)
