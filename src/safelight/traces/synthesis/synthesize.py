"""Requests of a trace that never was, like those of services that are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from safelight.core.errors import shorten
from safelight.traces.arrivals.bursty import Bursty
from safelight.traces.arrivals.diurnal import Diurnal
from safelight.traces.arrivals.process import ArrivalProcess, first
from safelight.traces.errors import CannotSynthesize
from safelight.traces.schema import ADAPTERS, MADE_UP, AdapterColumn, conform
from safelight.traces.synthesis.ordering import Depths, order_by_reuse
from safelight.traces.synthesis.rounding import Counts, apportion
from safelight.traces.synthesis.template import MOST_REQUESTS, Assignment, Combination, ServiceTemplate

MOST_SKEW = 10.0


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """How a synthesized trace differs from the original.

    Attributes:
        requests: how many; as many as the original if None.
        instances: how many serve them; if None, so many that each has as many requests as in the original.
        rate_scale: how many times as many requests arrive in each second.
        skew: combinations of LoRAs are as popular as in the original, raised to this power.
        diurnal: amplitude of a daily swing of the rate, as a share of the mean; 0 is none.
        bursts: how many times as high the rate is in bursts as between them; 1 is no bursts.
    """

    requests: int | None = None
    instances: int | None = None
    rate_scale: float = 1.0
    skew: float = 1.0
    diurnal: float = 0.0
    bursts: float = 1.0

    def __post_init__(self) -> None:
        for name in ("requests", "instances"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST_REQUESTS:
                raise CannotSynthesize(f"The number of {name} is {value}, but it must be from 1 to {MOST_REQUESTS:,}.")
        if not 0 < self.rate_scale < np.inf:
            raise CannotSynthesize(f"The rate scale is {shorten(self.rate_scale)}, but it must be a positive number.")
        if not 0 <= self.skew <= MOST_SKEW:
            raise CannotSynthesize(f"The skew is {shorten(self.skew)}, but it must be between 0 and {MOST_SKEW:g}.")

    def arrivals(self, process: ArrivalProcess) -> ArrivalProcess:
        """Return the process with a day and bursts around it."""
        if self.diurnal:
            process = Diurnal(amplitude=self.diurnal, of=process)
        if self.bursts != 1:
            process = Bursty(factor=self.bursts, of=process)
        return process


def synthesize(templates: Sequence[ServiceTemplate], options: SynthesisOptions, *, seed: int) -> pl.DataFrame:
    """Return a canonical table of requests like those of some services, in order of arrival.

    Raises:
        CannotSynthesize: if there are fewer requests than instances, or fewer instances than services.
        BadArrivals: if the day or the bursts cannot be.
    """
    requests = _split("requests", options.requests, [each.requests for each in templates])
    instances = (
        [_in_proportion(template, count) for template, count in zip(templates, requests, strict=True)]
        if options.instances is None
        else _split("instances", options.instances, [each.instances for each in templates])
    )
    rngs = np.random.default_rng(seed).spawn(len(templates))
    services = [
        _service(template, options, requests=count, instances=servers, rng=rng)
        for template, count, servers, rng in zip(templates, requests, instances, rngs, strict=True)
    ]
    table = pl.concat(services).sort("arrival_s", maintain_order=True)
    ids = pl.format("synthesized-{}", pl.int_range(1, pl.len() + 1))
    return table.with_columns(request_id=ids)


def _in_proportion(template: ServiceTemplate, requests: int) -> int:
    return max(1, round(template.instances * requests / template.requests))


def _split(what: str, wanted: int | None, theirs: Sequence[int]) -> list[int]:
    """Return how many of something each service gets."""
    if wanted is None:
        return list(theirs)
    if wanted < len(theirs):
        raise CannotSynthesize(
            f"There are {len(theirs)} services, so there must be at least as many {what}, not {wanted}."
        )
    return [int(share) for share in apportion(np.array(theirs), wanted, least=1)]


def _service(
    template: ServiceTemplate, options: SynthesisOptions, *, requests: int, instances: int, rng: np.random.Generator
) -> pl.DataFrame:
    if requests < instances:
        raise CannotSynthesize(
            f"{requests:,} requests cannot be shared among {instances:,} instances; ask for fewer instances."
        )
    assignment = template.assign(requests, instances, skew=options.skew, rng=rng)
    rate = template.rate * instances / template.instances * options.rate_scale
    arrivals_s = first(options.arrivals(template.arrivals), requests, rate=rate, rng=rng)
    of_instance = np.repeat(np.arange(instances), [len(own) for own in assignment.instances])
    turns = rng.permutation(of_instance)
    # The place of each request in what follows, which is by instance.
    by_instance = np.empty_like(turns)
    by_instance[np.argsort(turns, kind="stable")] = np.arange(requests)
    orders = {kind: _order(template, assignment, kind, rng) for kind in assignment.combinations}
    table = _like_rows(template, assignment, orders, rng) if template.table is not None else _new(assignment, orders)
    names = pl.Series([f"{MADE_UP}{template.service or 'service'}-{place + 1}" for place in range(instances)])
    return _canonical(
        table[by_instance].with_columns(
            pl.lit("synthesized").alias("origin"),
            pl.lit(template.service, pl.String).alias("service"),
            pl.Series("arrival_s", np.floor(arrivals_s) if template.is_by_the_second else arrivals_s),
            names.gather(turns).alias("instance"),
        )
    )


def _order(template: ServiceTemplate, assignment: Assignment, kind: AdapterColumn, rng: np.random.Generator) -> Counts:
    """Return the combination of each request, instance by instance."""
    depths = Depths(template.depths[kind])
    return np.concatenate(
        [order_by_reuse(own.choices[kind], assignment.combinations[kind], depths, rng) for own in assignment.instances]
    )


def _new(assignment: Assignment, orders: Mapping[AdapterColumn, Counts]) -> pl.DataFrame:
    """Return requests that have nothing but adapters, instance by instance."""
    return pl.DataFrame([_adapters(kind, assignment.combinations[kind], order) for kind, order in orders.items()])


def _like_rows(
    template: ServiceTemplate, assignment: Assignment, orders: Mapping[AdapterColumn, Counts], rng: np.random.Generator
) -> pl.DataFrame:
    """Return requests like rows of the table, instance by instance; ControlNets may be of another row."""
    assert template.table is not None
    rows = _rows(assignment, "loras", orders, rng)
    if "controlnets" not in orders:
        return template.table[rows]
    controlnets = template.table["controlnets"].gather(_rows(assignment, "controlnets", orders, rng))
    return template.table[rows].with_columns(controlnets)


def _rows(
    assignment: Assignment, kind: AdapterColumn, orders: Mapping[AdapterColumn, Counts], rng: np.random.Generator
) -> Counts:
    """Return the assigned rows, instance by instance, so that the combinations of one kind are in order."""
    chosen: list[Counts] = []
    start = 0
    for own in assignment.instances:
        assert own.rows is not None
        shuffled = rng.permutation(len(own))
        if kind in orders:
            order = orders[kind][start : start + len(own)]
            shuffled = shuffled[np.argsort(own.choices[kind][shuffled], kind="stable")]
            shuffled = shuffled[np.argsort(np.argsort(order, kind="stable"))]
        chosen.append(own.rows[shuffled])
        start += len(own)
    return np.concatenate(chosen)


def _adapters(kind: AdapterColumn, combinations: Sequence[Combination], order: Counts) -> pl.Series:
    adapters = [[{"name": name, "scale": None} for name in names] for names in combinations]
    return pl.Series(kind, adapters, ADAPTERS).gather(order)


def _canonical(frame: pl.DataFrame) -> pl.DataFrame:
    return conform(frame.lazy()).collect()
