"""What a trace holds, in all and by service: the figures of the statistics script published with Katz, and more.

The published script counts requests, base models that are known (and those with more than 1 % of the requests whose
base model is known), and requests by how many ControlNets and LoRAs they have, where a missing list counts as none. It
hides numbers of ControlNets that fewer than 100 requests have, though its shares are of all; here they are marked.
"""

import itertools
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import msgspec
import polars as pl

from safelight.traces.errors import as_bad_trace
from safelight.traces.reading import Trace
from safelight.traces.schema import AdapterColumn

COMMON_SHARE = 0.01
RARE_REQUESTS = 100

DURATION_DIGITS = 4
"""Significant digits of quantiles of durations, so that only so many different ones need to be counted."""

_KINDS: tuple[AdapterColumn, ...] = ("controlnets", "loras")
_COUNTED = ("instance", "tenant", "base_model", "origin", "task", "status")


class AdapterCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests have so many adapters of a kind; `is_rare` ones are hidden by the published script."""

    adapters: int
    requests: int
    share: float
    is_rare: bool


class Adapters(msgspec.Struct, frozen=True, kw_only=True):
    """The ControlNets or the LoRAs of some requests.

    Attributes:
        unknown: requests without a list, which count as having none.
        distinct: names that are known.
        invocations: how often any was asked for, without a name too.
        per_request: by rising number of adapters.
    """

    unknown: int
    distinct: int
    invocations: int
    per_request: tuple[AdapterCount, ...]


class BaseModel(msgspec.Struct, frozen=True, kw_only=True):
    """A base model, and its share of the requests whose base model is known."""

    name: str
    requests: int
    share: float


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, over the requests of which they are known; quantiles have `DURATION_DIGITS` digits."""

    known: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """By how many seconds finished requests took longer than the server had predicted, where both are known.

    Attributes:
        mean: negative if most ended sooner; likewise the quantiles, which have `DURATION_DIGITS` digits.
        longer: share of the requests that took longer.
    """

    known: int
    mean: float
    p5: float
    p50: float
    p95: float
    longer: float


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Some requests.

    Attributes:
        service: None for the whole trace, or for requests without one.
        first_s, last_s: arrivals; None where none is known.
        rate: requests per second from the first arrival to the last one.
        base_models: how many are known.
        common_base_models: those with more than 1 %, the most common first.
        origins, tasks, statuses: requests by these columns, where they are known.
    """

    service: str | None
    requests: int
    first_s: float | None
    last_s: float | None
    rate: float | None
    instances: int
    tenants: int
    base_models: int
    common_base_models: tuple[BaseModel, ...]
    controlnets: Adapters
    loras: Adapters
    durations: Durations | None
    predictions: Predictions | None
    origins: Mapping[str, int]
    tasks: Mapping[str, int]
    statuses: Mapping[str, int]


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A trace: all of it, and each service where there are any."""

    path: str
    source: str
    whole: Facts
    services: tuple[Facts, ...]


def describe(trace: Trace, *, service: str | None = None) -> Description:
    """Describe a trace, or one service of it, without holding it: only counts are kept of what is read.

    Raises:
        NoSuchService: if a service is named that has no requests.
        BadTrace: if the trace turns out to be damaged.
    """
    frame = trace.frame if service is None else trace.of_service(service)
    with as_bad_trace(trace.path):
        counts = _Counts(frame)
    return Description(
        path=str(trace.path),
        source=trace.source,
        whole=_facts(counts, service),
        services=tuple(_facts(counts.of(name), name) for name in counts.services if service is None),
    )


class _Counts:
    """Small tables from which all facts follow; each has a row for each service and value that occur together."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        arrival, duration = pl.col("arrival_s"), pl.col("duration_s")
        spans = frame.group_by("service").agg(
            pl.len().alias("requests"),
            arrival.min().alias("first_s"),
            arrival.max().alias("last_s"),
            duration.sum().alias("duration_s"),
            duration.max().alias("longest_s"),
        )
        self.spans = spans.collect(engine="streaming")
        self.values = {name: _count(frame, pl.col(name)) for name in _COUNTED}
        error = duration - pl.col("predicted_s")
        self.values["error_s"] = _count(
            frame.filter(pl.col("status") == "finished"), error.round_sig_figs(DURATION_DIGITS)
        )
        self.values["duration_s"] = _count(frame, duration.round_sig_figs(DURATION_DIGITS))
        self.lengths = {kind: _count(frame, pl.col(kind).list.len()) for kind in _KINDS}
        self.names = {
            kind: _count(frame.select("service", kind).explode(kind), pl.col(kind).struct.field("name"))
            for kind in _KINDS
        }

    @property
    def services(self) -> list[str]:
        """Those that have a name, sorted."""
        return sorted(self.spans["service"].drop_nulls())

    def of(self, service: str) -> "_Counts":
        """Return the counts of one service."""
        part = copy(self)
        part.spans = _of(self.spans, service)
        part.values = {name: _of(table, service) for name, table in self.values.items()}
        part.lengths = {kind: _of(table, service) for kind, table in self.lengths.items()}
        part.names = {kind: _of(table, service) for kind, table in self.names.items()}
        return part

    def known(self, name: str) -> dict[Any, int]:
        """Return how many requests have each known value of a column, the most common first."""
        return _summed(self.values[name])


def _count(frame: pl.LazyFrame, value: pl.Expr) -> pl.DataFrame:
    counts = frame.group_by("service", value.alias("value")).agg(pl.len().alias("requests"))
    return counts.collect(engine="streaming")


def _of(table: pl.DataFrame, service: str) -> pl.DataFrame:
    return table.filter(pl.col("service") == service)


def _summed(table: pl.DataFrame) -> dict[Any, int]:
    known = table.drop_nulls("value").group_by("value").agg(pl.col("requests").sum())
    return dict(known.sort("requests", "value", descending=[True, False]).rows())


def _facts(counts: _Counts, service: str | None) -> Facts:
    requests, first_s, last_s = counts.spans.select(
        pl.col("requests").sum(), pl.col("first_s").min(), pl.col("last_s").max()
    ).row(0)
    span_s = None if first_s is None else last_s - first_s
    models = counts.known("base_model")
    return Facts(
        service=service,
        requests=requests,
        first_s=first_s,
        last_s=last_s,
        rate=requests / span_s if span_s else None,
        instances=len(counts.known("instance")),
        tenants=len(counts.known("tenant")),
        base_models=len(models),
        common_base_models=_common(models),
        controlnets=_adapters(counts, "controlnets", requests),
        loras=_adapters(counts, "loras", requests),
        durations=_durations(counts),
        predictions=_predictions(counts),
        origins=counts.known("origin"),
        tasks=counts.known("task"),
        statuses=counts.known("status"),
    )


def _common(models: Mapping[str, int]) -> tuple[BaseModel, ...]:
    known = sum(models.values())
    return tuple(
        BaseModel(name=name, requests=requests, share=requests / known)
        for name, requests in models.items()
        if requests > COMMON_SHARE * known
    )


def _adapters(counts: _Counts, kind: AdapterColumn, requests: int) -> Adapters:
    table = counts.lengths[kind]
    lengths = sorted(_summed(table.with_columns(pl.col("value").fill_null(0))).items())
    return Adapters(
        unknown=int(table.filter(pl.col("value").is_null())["requests"].sum()),
        distinct=len(_summed(counts.names[kind])),
        invocations=sum(length * times for length, times in lengths),
        per_request=tuple(
            AdapterCount(adapters=length, requests=times, share=times / requests, is_rare=times < RARE_REQUESTS)
            for length, times in lengths
        ),
    )


def _durations(counts: _Counts) -> Durations | None:
    times = sorted(counts.known("duration_s").items())
    known = sum(requests for _, requests in times)
    if not known:
        return None
    return Durations(
        known=known,
        mean=float(counts.spans["duration_s"].sum()) / known,
        p50=_quantile(times, 0.5 * known),
        p95=_quantile(times, 0.95 * known),
        p99=_quantile(times, 0.99 * known),
        max=float(counts.spans["longest_s"].max()),  # type: ignore[arg-type]
    )


def _predictions(counts: _Counts) -> Predictions | None:
    errors = sorted(counts.known("error_s").items())
    known = sum(requests for _, requests in errors)
    if not known:
        return None
    return Predictions(
        known=known,
        mean=sum(error * requests for error, requests in errors) / known,
        p5=_quantile(errors, 0.05 * known),
        p50=_quantile(errors, 0.5 * known),
        p95=_quantile(errors, 0.95 * known),
        longer=sum(requests for error, requests in errors if error > 0) / known,
    )


def _quantile(times: Sequence[tuple[float, int]], rank: float) -> float:
    """Return the smallest value that at least `rank` requests do not exceed."""
    totals = itertools.accumulate(requests for _, requests in times)
    return next(value for (value, _), total in zip(times, totals, strict=True) if total >= rank)
