"""The services of any trace, from its requests."""

import numpy as np
import polars as pl

from safelight.traces.arrivals.process import ArrivalProcess
from safelight.traces.arrivals.recorded import Recorded
from safelight.traces.arrivals.renewal import Poisson
from safelight.traces.errors import BadArrivals, CannotSynthesize
from safelight.traces.schema import AdapterColumn, names_of
from safelight.traces.synthesis.lru_stack import NEAR, LruStack
from safelight.traces.synthesis.rounding import Counts, Weights, apportion, draw_whole
from safelight.traces.synthesis.template import MOST_REQUESTS, Assignment, Combination, InstanceRequests, spread

KINDS: tuple[AdapterColumn, ...] = ("controlnets", "loras")

NOT_ALIKE = (
    *("request_id", "origin", "arrival_s", "instance", "prompt", "negative_prompt", "inputs", "seed"),
    *("status", "reason", "predicted_s", "queue_s", "retries", "pauses", "steps_without_loras", "stages"),
    "gate_score",
)
"""What a request has for itself, and what became of it where it was served; prompts and inputs are private."""


def recorded_templates(frame: pl.LazyFrame) -> "list[RecordedTemplate]":
    """Return each service of a canonical trace as a template.

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
        RecordedTemplate(of_service, _arrivals(of_service) or whole, share=len(of_service) / len(table))
        for of_service in table.partition_by("service", maintain_order=True)
    ]


class RecordedTemplate:
    """One service of a trace; see `ServiceTemplate`."""

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
        self._choices: dict[AdapterColumn, Counts] = {}
        for kind in KINDS:
            if table[kind].null_count() < len(table):
                self._combinations[kind], self._choices[kind] = _combinations(table.select(names_of(kind)).to_series())
        self.depths = {kind: self._depths(kind) for kind in self._combinations}
        self.table: pl.DataFrame | None = table.drop(NOT_ALIKE)

    def assign(self, requests: int, instances: int, *, skew: float, rng: np.random.Generator) -> Assignment:
        """Return the requests of each of so many instances, each like those of an instance of the trace."""
        chosen = [self._rows[place] for place in spread(self.instances, instances).tolist()]
        counts = apportion(np.array([len(rows) for rows in chosen]), requests, least=1)
        odds = self._odds(skew)
        taken = [
            np.repeat(rows, draw_whole(odds[rows], count, rng))
            for rows, count in zip(chosen, counts.tolist(), strict=True)
        ]
        return Assignment(
            combinations=dict(self._combinations),
            instances=[
                InstanceRequests(choices={kind: choices[rows] for kind, choices in self._choices.items()}, rows=rows)
                for rows in taken
            ],
        )

    def _odds(self, skew: float) -> Weights:
        """Return for each row how often it is wanted: once, or less or more often if its LoRAs are."""
        odds = np.ones(self.requests)
        if "loras" in self._choices and skew != 1:
            choices = self._choices["loras"]
            has_loras = np.array([bool(names) for names in self._combinations["loras"]])[choices]
            popularity = np.bincount(choices)[choices[has_loras]] ** (skew - 1)
            odds[has_loras] = popularity / popularity.mean() if has_loras.any() else 1
        return odds

    def _depths(self, kind: AdapterColumn) -> Weights:
        uses = [0] * (NEAR + 1)
        combinations, choices = self._combinations[kind], self._choices[kind]
        for rows in self._rows:
            stack = LruStack(uses)
            for choice in choices[rows].tolist():
                for name in combinations[choice]:
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
    choices = [places.setdefault(tuple(names or ()), len(places)) for names in lists.to_list()]
    return list(places), np.array(choices, np.int64)
