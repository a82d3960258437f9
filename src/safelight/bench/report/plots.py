"""Plots of runs and sweeps, with their tables."""

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safelight.bench.formatting import format_seconds
from safelight.bench.records import Record
from safelight.bench.run import Run
from safelight.bench.stats.levels import LevelResult
from safelight.bench.stats.metrics import Metrics
from safelight.reports.result import Result
from safelight.reports.style import BLUE, ORANGE, SERIES, VERMILLION, in_percent, panel

CDF_POINTS = 1000
SERIES_POINTS = 200
"""Points of the distribution at each of several levels."""

MOST_DOTS = 4000
SERVED, LATE = "served", "too late"


def latency_distribution(runs: Sequence[Run]) -> Result:
    """Plot the distribution of latencies."""
    latencies_s = np.sort([record.latency_s for run in runs for record in run.records if record.is_success])
    shares = np.linspace(0, 1, min(CDF_POINTS, max(2, len(latencies_s))))
    table = pl.DataFrame(
        {"share": shares, "latency_s": np.quantile(latencies_s, shares)} if len(latencies_s) else _nothing("share")
    )

    def draw(figure: Figure) -> None:
        axes = panel(figure, x="seconds", y="answers within")
        axes.plot(table["latency_s"], table["share"], color=BLUE)
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.02)
        in_percent(axes.yaxis)

    finding = "No answer."
    if len(latencies_s):
        p50, p99 = np.quantile(latencies_s, [0.5, 0.99])
        finding = f"Half of the answers came within {format_seconds(p50)}, 99 % of them within {format_seconds(p99)}."
    return Result(name="latency", title="How soon answers came", table=table, findings=(finding,), draw=draw)


def timeline(runs: Sequence[Run]) -> Result:
    """Plot each request's latency at its due time."""
    count = sum(len(run.records) for run in runs)
    numbered = ((number, record) for number, run in enumerate(runs, 1) for record in run.records)
    shown = [*islice(numbered, 0, None, max(1, count // MOST_DOTS))]
    table = pl.DataFrame(
        {
            "run": [number for number, _ in shown],
            "due_s": [record.due_s for _, record in shown],
            "latency_s": [record.latency_s for _, record in shown],
            "outcome": [_outcome(record) for _, record in shown],
        },
        schema={"run": pl.Int64, "due_s": pl.Float64, "latency_s": pl.Float64, "outcome": pl.String},
    )

    def draw(figure: Figure) -> None:
        axes = panel(figure, x="due, in seconds from the start", y="seconds until the end")
        is_served, is_late = pl.col("outcome") == SERVED, pl.col("outcome") == LATE
        kinds = ((is_served, BLUE, SERVED), (is_late, ORANGE, LATE), (~is_served & ~is_late, VERMILLION, "failed"))
        for is_kind, colour, label in kinds:
            rows = table.filter(is_kind)
            if len(rows):
                axes.plot(rows["due_s"], rows["latency_s"], ".", color=colour, markersize=4, label=label)
        axes.set_ylim(bottom=0)
        if len(table.filter(~is_served)):
            axes.legend()

    failed = sum(not record.is_success for run in runs for record in run.records)
    late = sum(_outcome(record) == LATE for run in runs for record in run.records)
    lasted = format_seconds(sum(run.duration_s for run in runs))
    finding = f"{count:,} requests within {lasted}, of which {failed:,} failed and {late:,} were served too late."
    return Result(name="timeline", title="Latencies over time", table=table, findings=(finding,), draw=draw)


def _outcome(record: Record) -> str:
    if not record.is_success:
        return record.failure
    return SERVED if record.request.deadline_s is None or record.has_met else LATE


def breakdown(groups: Mapping[str, Metrics], *, by: str, title: str) -> Result | None:
    """Plot metrics of groups; None if there are no groups."""
    if not groups:
        return None
    keys = ("requests", "completed_requests", "latency_p50", "latency_p95", "slo_attainment_rate")
    table = pl.DataFrame(
        {by: list(groups), **{key: [group.get(key) for group in groups.values()] for key in keys}},
        schema_overrides={"latency_p50": pl.Float64, "latency_p95": pl.Float64, "slo_attainment_rate": pl.Float64},
    )

    def draw(figure: Figure) -> None:
        axes = panel(figure, x="", y="seconds")
        positions = np.arange(len(table))
        for shift, key, colour in ((-0.2, "latency_p50", BLUE), (0.2, "latency_p95", ORANGE)):
            axes.bar(
                positions + shift,
                table[key].fill_null(0.0),
                width=0.38,
                color=colour,
                label=key.removeprefix("latency_"),
            )
        axes.set_xticks(
            positions,
            [name[:24] for name in table[by]],
            rotation=30 if len(table) > 4 else 0,
            ha="right" if len(table) > 4 else "center",
        )
        axes.legend()

    finding = f"{len(groups)} groups; the slowest by its p95 is {_slowest(groups)}."
    return Result(name=f"by_{by}", title=title, table=table, findings=(finding,), draw=draw)


def _slowest(groups: Mapping[str, Metrics]) -> str:
    return max(groups, key=lambda name: groups[name].get("latency_p95") or 0.0)


def against_level(points: Sequence[LevelResult], *, level: str, target: float, findings: Sequence[str]) -> Result:
    """Plot attainment and latencies, with 95 % intervals, against rates or concurrencies."""
    ordered = sorted(points, key=lambda point: point.level)
    keys = (
        "throughput_qps",
        "latency_p50",
        "latency_p95",
        "latency_p99",
        "failed_requests",
        "send_lag_p99",
    )
    nothing = (None, None)
    columns = {
        level: [point.level for point in ordered],
        "attainment": [point.attainment for point in ordered],
        "attainment_low": [(point.bounds or nothing)[0] for point in ordered],
        "attainment_high": [(point.bounds or nothing)[1] for point in ordered],
        **{key: [point.metrics.get(key) for point in ordered] for key in keys},
    }
    table = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64)).with_columns(
        pl.Series("verdict", [point.verdict(target) for point in ordered], pl.String)
    )
    has_attainment = table["attainment"].count() > 0

    def draw(figure: Figure) -> None:
        if has_attainment:
            axes = panel(figure, position=(1, 2, 1), x=_AXES[level], y="met their deadlines")
            bounds = [point.bounds for point in ordered]
            _line(axes, table[level], table["attainment"], bounds, color=BLUE)
            axes.axhline(target, color=VERMILLION, linewidth=1, linestyle=":")
            axes.set_ylim(0, 1.05)
            in_percent(axes.yaxis)
        axes = panel(figure, position=(1, 2, 2) if has_attainment else (1, 1, 1), x=_AXES[level], y="seconds")
        for key, colour in (("latency_p50", BLUE), ("latency_p95", ORANGE)):
            bounds = [point.metrics["confidence"].get(key) for point in ordered]
            _line(axes, table[level], table[key], bounds, color=colour, label=key.removeprefix("latency_"))
        axes.set_ylim(bottom=0)
        axes.legend()

    return Result(name=level, title=f"Against {_AXES[level]}", table=table, findings=tuple(findings), draw=draw)


def distributions(points: Sequence[LevelResult], *, level: str) -> Result:
    """Plot the distribution of latencies at each rate or concurrency; of many, at some of them."""
    ordered = sorted((point for point in points if point.metrics["latencies_s"]), key=lambda point: point.level)
    shown = ordered[:: max(1, -(-len(ordered) // len(SERIES)))]
    shares = np.linspace(0, 1, SERIES_POINTS)
    table = pl.DataFrame(
        {
            level: [point.level for point in shown for _ in shares],
            "share": [*shares.tolist()] * len(shown),
            "latency_s": [each for point in shown for each in np.quantile(point.metrics["latencies_s"], shares)],
        },
        schema=dict.fromkeys((level, "share", "latency_s"), pl.Float64),
    )

    def draw(figure: Figure) -> None:
        axes = panel(figure, x="seconds", y="answers within")
        for ((value, *_), rows), colour in zip(table.group_by(level, maintain_order=True), SERIES, strict=False):
            axes.plot(rows["latency_s"], rows["share"], color=colour, label=f"{value:.4g}")
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.02)
        in_percent(axes.yaxis)
        axes.legend(title=_AXES[level])

    medians = [
        f"{format_seconds(float(np.median(point.metrics['latencies_s'])))} at {point.level:.4g} {_AXES[level]}"
        for point in shown
    ]
    finding = f"Half of the answers came within {', '.join(medians)}." if shown else "No answer."
    return Result(name="latencies", title="How soon answers came", table=table, findings=(finding,), draw=draw)


def _line(
    axes: Axes,
    x: pl.Series,
    y: pl.Series,
    bounds: Sequence[Sequence[float] | None],
    *,
    color: str,
    label: str = "",
) -> None:
    """Draw a line through points, with their intervals if they have some."""
    axes.plot(x, y, "o-", color=color, label=label)
    for position, found in zip(x, bounds, strict=True):
        if found is not None:
            axes.vlines(position, found[0], found[1], colors=color, linewidth=1.2, alpha=0.7)


_AXES = {"request_rate": "requests per second", "max_concurrency": "requests in flight"}


def _nothing(column: str) -> dict[str, list[float]]:
    return {column: [], "latency_s": []}
