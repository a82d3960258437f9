"""95 % confidence intervals of the main metrics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from safelight.bench.records import Record
from safelight.bench.run import Run
from safelight.bench.stats.resampling import (
    QUANTILES,
    Bounds,
    Runs,
    Statistic,
    Values,
    effective_size,
    interval,
    mean_and_quantiles,
    resampled,
    share_interval,
)

ENOUGH_TO_DRAW_FROM = 20

Times = Callable[[Record], float]


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Confidence of metrics, by their names.

    Attributes:
        bounds: 95 % confidence intervals.
        sizes: effective sample sizes of shares.
    """

    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)

    def __or__(self, other: "Intervals") -> "Intervals":
        return Intervals(bounds={**self.bounds, **other.bounds}, sizes={**self.sizes, **other.sizes})


def intervals_of(runs: Sequence[Run]) -> Intervals:
    """Return the confidence intervals of the metrics of one load that was run once or more often."""
    found = Intervals(bounds={**_of_times(runs, "latency", lambda record: record.latency_s), **_of_rates(runs)})
    found |= _of_share("failed_share", [1 - _flags(run, lambda record: record.is_success) for run in runs])
    found |= _of_attainment(runs, "slo_attainment_rate", lambda record: record.latency_s)
    if any(run.has_hidden_waits for run in runs):
        found |= Intervals(bounds=_of_times(runs, "latency_since_due", lambda record: record.since_due_s))
        found |= _of_attainment(runs, "slo_attainment_rate_since_due", lambda record: record.since_due_s)
    return found


def _of_times(runs: Sequence[Run], name: str, time_s: Times) -> Mapping[str, Bounds]:
    found = [np.array([time_s(record) for record in run.ended if record.is_success]) for run in runs]
    return _drawn(found, mean_and_quantiles, [f"{name}_{of}" for of in ("mean", *QUANTILES)])


def _of_rates(runs: Sequence[Run]) -> Mapping[str, Bounds]:
    """Return bounds of rates, from the gaps between answers; a load that is sent all at once has but one beginning.

    Where nothing was served in time, nothing can be drawn that was, which does not make it sure.
    """
    if all(run.is_one_burst for run in runs):
        return {}
    has_met = any(record.request.deadline_s is not None and record.has_met for run in runs for record in run.ended)
    return _drawn(map(_answers, runs), _rates, ["throughput_qps", *(["goodput_qps"] if has_met else [])])


def _answers(run: Run) -> Values:
    """Return for each end of a request the time since the one before, and whether it was served, and in time."""
    records = sorted(run.ended, key=lambda record: record.done_s)
    gaps_s = np.diff([record.done_s for record in records], prepend=0.0)
    result_of = [record.is_success for record in records]
    met = [record.request.deadline_s is not None and record.has_met for record in records]
    return np.column_stack([gaps_s, result_of, met])


def _rates(answers: Values) -> Values:
    duration_s, result_of, met = answers.sum(axis=0)
    return np.array([result_of, met]) / duration_s if duration_s > 0 else np.full(2, np.nan)


def _drawn(runs: Iterable[Values], statistic: Statistic, names: Sequence[str]) -> Mapping[str, Bounds]:
    runs = [run for run in runs if len(run)]
    if sum(map(len, runs)) < ENOUGH_TO_DRAW_FROM:
        return {}
    drawn = resampled(runs, statistic, rng=np.random.default_rng(0))
    return {name: interval(values) for name, values in zip(names, drawn.T, strict=False) if np.isfinite(values).all()}


def _of_attainment(runs: Sequence[Run], name: str, time_s: Times) -> Intervals:
    """Return the interval of the share of requests that met their deadlines.

    Near misses, which used more than half of the slack of the median request, also show how requests cluster. They
    count in the effective sample size, so that a run without a miss is not overrated.
    """
    used = [_used(run, time_s) for run in runs]
    used = [run for run in used if len(run)]
    if not used:
        return Intervals()
    middle = float(np.median(np.concatenate(used)))
    close = [(run > min(1.0, (1 + middle) / 2)).astype(float) for run in used]
    return _of_share(name, [(run <= 1).astype(float) for run in used], close)


def _used(run: Run, time_s: Times) -> Values:
    """Return the share of its time that each request used; more than all of it where it failed, or had none."""
    bound = [record for record in run.ended if record.request.deadline_s is not None]
    deadlines_s = np.array([record.request.deadline_s for record in bound], float)
    times_s = np.array([time_s(record) if record.is_success else np.inf for record in bound])
    used = np.where(times_s <= deadlines_s, 1.0, np.inf)
    with np.errstate(over="ignore"):
        np.divide(times_s, deadlines_s, out=used, where=deadlines_s > 0)
    return used


def _of_share(name: str, flags: Runs, close: Runs | None = None) -> Intervals:
    flags = [run for run in flags if len(run)]
    if not flags:
        return Intervals()
    size = effective_size(flags)
    if close is not None:
        size = min(size, effective_size(close))
    share = float(np.concatenate(flags).mean())
    return Intervals(bounds={name: share_interval(share, size)}, sizes={name: size})


def _flags(run: Run, holds: Callable[[Record], bool]) -> Values:
    return np.array([float(holds(record)) for record in run.ended])
