"""Plots of simulated runs; each title says that they are simulated."""

from collections.abc import Sequence
from itertools import cycle

import msgspec
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safelight.reports.formatting import format_duration, format_share
from safelight.reports.result import Result
from safelight.reports.style import QUIET, SERIES, WIDE_IN, in_percent, label_ends, panel
from safelight.simulator.results.documents import MOST_WORKERS, RunResult, SimulationDocument, Span
from safelight.simulator.results.intervals import Estimate

BAR = 0.8

_COMPARED = (
    ("attainment", "attainment"),
    ("latency_p95_s", "latency p95 in s"),
    ("quality", "quality"),
    ("utilization", "utilization"),
)


def timeline_of(result: RunResult) -> Result:
    """Plot demand, what was finished by level, attainment and quality over virtual time."""
    rows = [
        {
            "start_s": each.start_s,
            "arrived_per_s": each.arrived_per_s,
            "finished_per_s": each.finished_per_s,
            "capacity_per_s": each.capacity_per_s,
            "busy_workers": each.busy_workers,
            "attainment": each.attainment,
            "quality": each.quality,
            **{f"finished_per_s_{name}": each.levels.get(name, 0.0) for name in _levels(result)},
        }
        for each in result.timeline
    ]
    table = pl.DataFrame(rows, infer_schema_length=None)
    figures = result.figures
    words = [f"{figures.requests:,} requests in {format_duration(figures.end_s)} of virtual time"]
    if figures.attainment is not None:
        words.append(f"{format_share(figures.attainment)} in time")
    return Result(
        name=f"timeline-{result.key.file_stem}",
        title=f"Simulated demand, service, attainment and quality: {result.key.text}",
        table=table,
        findings=(f"Simulated: {', '.join(words)}.",),
        draw=lambda figure: _draw_timeline(figure, table, _levels(result)),
    )


def gantt_of(result: RunResult) -> Result:
    """Plot what each worker did, as far as spans were kept."""
    table = pl.DataFrame(
        [(span.worker, span.what, span.start_s, span.end_s) for span in result.spans],
        schema={"worker": pl.String, "what": pl.String, "start_s": pl.Float64, "end_s": pl.Float64},
        orient="row",
    )
    until_s = max((span.end_s for span in result.spans), default=0.0)
    return Result(
        name=f"devices-{result.key.file_stem}",
        title=f"Simulated devices: {result.key.text}",
        table=table,
        findings=(f"Simulated: what workers did in the first {format_duration(until_s)}.",),
        draw=lambda figure: _draw_gantt(figure, result.spans),
    )


def comparison_of(document: SimulationDocument, variant: str = "") -> Result:
    """Plot the main figures of all policies of one variant by load, side by side."""
    own = tuple(summary for summary in document.summaries if summary.variant == variant)
    document = msgspec.structs.replace(document, summaries=own)
    rows = [
        {
            "policy": summary.policy,
            "load": summary.load,
            "rate_per_s": summary.rate_per_s,
            "figure": name,
            "mean": found.mean,
            "low": found.low,
            "high": found.high,
            "n": found.n,
        }
        for summary in document.summaries
        for name, found in summary.figures.items()
    ]
    table = pl.DataFrame(rows, infer_schema_length=None)
    return Result(
        name="policies",
        title=f"Simulated policies side by side{f': {variant}' if variant else ''}",
        table=table,
        findings=tuple(_compared(document)),
        draw=lambda figure: _draw_comparison(figure, document),
    )


def _levels(result: RunResult) -> list[str]:
    return sorted({name for each in result.timeline for name in each.levels})


def _draw_timeline(figure: Figure, table: pl.DataFrame, levels: Sequence[str]) -> None:
    has_quality = table["quality"].null_count() < len(table)
    panels = 3 if has_quality else 2
    figure.set_size_inches(WIDE_IN[0], 2 * panels)
    rates = panel(figure, position=(panels, 1, 1), x="", y="simulated requests/s")
    rates.step(table["start_s"], table["arrived_per_s"], where="post")
    rates.step(table["start_s"], table["finished_per_s"], where="post")
    names = ["arrived", "finished"]
    if table["capacity_per_s"].null_count() < len(table):
        rates.step(table["start_s"], table["capacity_per_s"], where="post", color=QUIET, linestyle="--")
        names.append("capacity")
    if len(levels) > 1:
        for name in levels:
            rates.step(table["start_s"], table[f"finished_per_s_{name}"], where="post", linewidth=1)
            names.append(name)
    rates.set_ylim(bottom=0)
    label_ends(rates, names)
    _draw_share(panel(figure, position=(panels, 1, 2), x="", y="simulated attainment"), table, "attainment")
    if has_quality:
        _draw_share(panel(figure, position=(panels, 1, 3), x="", y="simulated quality"), table, "quality")
    figure.axes[-1].set_xlabel("virtual seconds")


def _draw_share(axes: Axes, table: pl.DataFrame, column: str) -> None:
    known = table.drop_nulls(column)
    axes.plot(known["start_s"], known[column])
    if known[column].is_between(0, 1).all():
        axes.set_ylim(0, 1.03)
    if column == "attainment":
        in_percent(axes.yaxis)


def _draw_gantt(figure: Figure, spans: Sequence[Span]) -> None:
    workers = list(dict.fromkeys(sorted(span.worker for span in spans)))[:MOST_WORKERS]
    figure.set_size_inches(WIDE_IN[0], max(1.6, 0.9 + 0.22 * len(workers)))
    axes = panel(figure, x="virtual seconds, simulated", y="")
    kinds = list(dict.fromkeys(span.what for span in spans))
    for what, colour in zip(kinds, cycle(SERIES), strict=False):
        for number, worker in enumerate(workers):
            bars = [(s.start_s, s.end_s - s.start_s) for s in spans if s.what == what and s.worker == worker]
            axes.broken_barh(bars, (number - BAR / 2, BAR), facecolors=colour)
        axes.plot([], [], "s", color=colour, label=what)
    axes.set_yticks(range(len(workers)), workers)
    axes.invert_yaxis()
    if kinds:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=min(4, len(kinds)), frameon=False)


def _draw_comparison(figure: Figure, document: SimulationDocument) -> None:
    shown = [(name, label) for name, label in _COMPARED if any(name in each.figures for each in document.summaries)]
    figure.set_size_inches(WIDE_IN[0], WIDE_IN[1] * ((len(shown) + 1) // 2))
    policies = list(document.policies)
    loads = {summary.load for summary in document.summaries}
    for number, (name, label) in enumerate(shown, 1):
        axes = panel(
            figure,
            position=((len(shown) + 1) // 2, 2, number),
            x="requests/s" if len(loads) > 1 else "",
            y=f"simulated {label}" if len(loads) > 1 else "",
        )
        if len(loads) == 1:
            axes.set_xlabel(f"simulated {label}")
        shown_policies = [each for each in policies if _has(document, each, name)]
        (_draw_curves if len(loads) > 1 else _draw_bars)(axes, document, name, shown_policies)


def _has(document: SimulationDocument, policy: str, figure: str) -> bool:
    return any(each.policy == policy and figure in each.figures for each in document.summaries)


def _draw_curves(axes: Axes, document: SimulationDocument, name: str, policies: Sequence[str]) -> None:
    for policy in policies:
        points = [each for each in document.summaries if each.policy == policy and name in each.figures]
        points.sort(key=lambda each: each.rate_per_s)
        rates = [each.rate_per_s for each in points]
        (line,) = axes.plot(rates, [each.figures[name].mean for each in points], "o-", markersize=3.5)
        known = [(rate, found) for rate, each in zip(rates, points, strict=True) if (found := each.figures[name]).n > 1]
        axes.fill_between(
            [rate for rate, _ in known],
            [found.mean if found.low is None else found.low for _, found in known],
            [found.mean if found.high is None else found.high for _, found in known],
            color=line.get_color(),
            alpha=0.15,
        )
    if axes.dataLim.y0 >= 0:
        axes.set_ylim(bottom=0)
    label_ends(axes, policies)


def _sides_of(value: Estimate) -> list[list[float]] | None:
    """Return how far an interval reaches below and above its mean; None without one."""
    if value.low is None or value.high is None:
        return None
    return [[value.mean - value.low], [value.high - value.mean]]


def _draw_bars(axes: Axes, document: SimulationDocument, name: str, policies: Sequence[str]) -> None:
    found = {each.policy: each.figures[name] for each in document.summaries if name in each.figures}
    for number, policy in enumerate(policies):
        if policy in found:
            value = found[policy]
            axes.barh(number, value.mean, BAR, xerr=_sides_of(value), color=SERIES[number % len(SERIES)])
    axes.set_yticks(range(len(policies)), policies)
    axes.invert_yaxis()


def _compared(document: SimulationDocument) -> list[str]:
    loads = sorted({summary.load for summary in document.summaries})
    sentences = []
    for load in loads:
        known = [each for each in document.summaries if each.load == load and "attainment" in each.figures]
        if len(known) > 1:
            best = max(known, key=lambda each: each.figures["attainment"].mean)
            share = format_share(best.figures["attainment"].mean)
            sentences.append(f"Simulated, load {load:g}: {best.policy} meets most deadlines, {share} (n = {best.n}).")
    return sentences
