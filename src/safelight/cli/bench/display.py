"""Shows a run: progress on standard error, and a table at the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from safelight.bench.formatting import format_seconds
from safelight.bench.load.generator import LoadGenerator
from safelight.bench.load.runner import OnProgress
from safelight.cli.console import notes

LATELY = 500
"""Progress covers this many of the last requests."""

NOTABLE_LAG_S = 0.01
MOST_COLUMNS = 200


def print_note(sentence: str) -> None:
    """Print a sentence on standard error."""
    notes.print(escape(sentence), soft_wrap=True)


@contextmanager
def shown_progress(*, is_off: bool, title: str, repeats: int) -> Iterator[OnProgress]:
    """Show the progress of a load if standard error is a terminal; yields the callback."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[summary]}"),
        console=notes,
        transient=True,
        auto_refresh=False,
        disable=is_off or not notes.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=None, summary="")

        def on_progress(turn: int, load: LoadGenerator) -> None:
            if not bar.disable:
                name = title if repeats == 1 else f"{title}, run {turn + 1} of {repeats}"
                done, summary = len(load.records), _summary(load)
                bar.update(
                    task, description=name, total=len(load.requests), completed=done, summary=summary, refresh=True
                )

        yield on_progress


def _summary(load: LoadGenerator) -> str:
    lately = load.records[-LATELY:]
    good = [record.latency_s for record in lately if record.is_success]
    bound = [record for record in lately if record.request.deadline_s is not None]
    parts = [f"{len(load.records) / max(load.now_s, 1e-9):.3g}/s", f"{load.in_flight} in flight"]
    if good:
        parts.append(f"p95 {format_seconds(float(np.quantile(good, 0.95)))}")
    if bound:
        parts.append(f"attainment {sum(record.has_met for record in bound) / len(bound):.1%}")
    if failed := sum(not record.is_success for record in lately):
        parts.append(f"{failed} failed")
    return ", ".join(parts)


_METRICS = (
    ("duration", "duration", "s"),
    ("completed_requests", "completed", ""),
    ("failed_requests", "failed", ""),
    ("throughput_qps", "throughput", "/s"),
    ("goodput_qps", "goodput", "/s"),
    ("slo_attainment_rate", "SLO attainment", "%"),
    ("slo_attainment_rate_since_due", "SLO attainment since due", "%"),
    ("latency_mean", "latency mean", "s"),
    ("latency_p50", "latency p50", "s"),
    ("latency_p90", "latency p90", "s"),
    ("latency_p95", "latency p95", "s"),
    ("latency_p99", "latency p99", "s"),
    ("latency_max", "latency max", "s"),
    ("latency_since_due_p50", "latency since due p50", "s"),
    ("latency_since_due_p95", "latency since due p95", "s"),
    ("latency_since_due_p99", "latency since due p99", "s"),
    ("queue_p50", "queue p50, as the server reports", "s"),
    ("compute_p50", "compute p50, as the server reports", "s"),
    ("transfer_p50", "all else p50", "s"),
    ("first_preview_p50", "first preview p50", "s"),
    ("semaphore_wait_p50", "wait for --max-concurrency p50", "s"),
    ("semaphore_wait_max", "wait for --max-concurrency max", "s"),
    ("send_lag_p99", "send lag p99", "s"),
    ("peak_memory_mb_max", "peak memory", " MB"),
    ("scene_score_mean", "scene score", "%"),
    ("scene_all_facts_share", "pictures with all facts right", "%"),
)
_RUN_METRICS = (
    *("completed_requests", "failed_requests", "throughput_qps", "slo_attainment_rate"),
    *("latency_p50", "latency_p95", "latency_p99"),
)


def print_metrics(metrics: dict[str, Any], *, title: str) -> None:
    """Print the main metrics, with intervals if there are some, and the failures."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, label, unit in _METRICS:
        if metrics.get(name) is not None:
            bounds = metrics["confidence"].get(name)
            sure = f"{_formatted(bounds[0], unit)} to {_formatted(bounds[1], unit)}" if bounds else ""
            table.add_row(label, _formatted(metrics[name], unit), sure)
    console = Console(highlight=False)
    console.print(f"[bold]{escape(title)}[/bold]", soft_wrap=True)
    print_table(table)
    if len(metrics["runs"]) > 1:
        print_table(_runs(metrics["runs"]))
    for kind, facts in metrics["failures"].items():
        console.print(f"[red]{facts['count']:,} {escape(kind)}[/red]: {escape(facts['meaning'])}", soft_wrap=True)
        for sample in facts["samples"]:
            console.print(f"    {escape(sample)}", soft_wrap=True, style="dim")


def print_table(table: Table) -> None:
    """Print a table at its full width, so that no cell is cut."""
    console = Console(highlight=False)
    wanted = console.measure(table, options=console.options.update(max_width=MOST_COLUMNS)).maximum
    Console(highlight=False, width=max(console.width, wanted)).print(table)


def _runs(runs: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    shown = [row for row in _METRICS if row[0] in _RUN_METRICS and any(run.get(row[0]) is not None for run in runs)]
    for label in ("run", *(label for _, label, _ in shown)):
        table.add_column(label, justify="right")
    for number, run in enumerate(runs, 1):
        cells = ("" if run.get(name) is None else _formatted(run[name], unit) for name, _, unit in shown)
        table.add_row(f"{number}", *cells)
    return table


def _formatted(value: float, unit: str) -> str:
    if unit == "s":
        return format_seconds(value)
    if isinstance(value, int):
        return f"{value:,}{unit}"
    return f"{100 * value:.4g} %" if unit == "%" else f"{value:.4g}{unit}"


def warnings_about(metrics: dict[str, Any]) -> Sequence[str]:
    """Return sentences about what makes the metrics doubtful."""
    found = []
    if metrics["partial"]:
        run = "This run" if metrics["repeats"] == 1 else f"Run {len(metrics['runs'])} of {metrics['repeats']}"
        found.append(
            f"{run} was ended early: {metrics['unsent_requests']:,} requests were not sent, "
            f"{metrics['cancelled_requests']:,} not waited for. All figures are partial."
        )
    if (lag_s := metrics.get("send_lag_p99") or 0.0) > NOTABLE_LAG_S:
        found.append(
            f"The client itself was late: 1 % of requests were sent {format_seconds(lag_s)} or more after their time, "
            f"the last by {format_seconds(metrics['send_lag_max'])}. Latencies have that in them; ask for a lower rate."
        )
    wait_s = metrics.get("semaphore_wait_max") or 0.0
    if (hidden := _since_due(metrics)) and wait_s > NOTABLE_LAG_S:
        found.append(
            f"--max-concurrency held requests back, by up to {format_seconds(wait_s)}, which is not in their "
            f"latencies; counted from when they were due, {' and '.join(hidden)}."
        )
    if unchecked := metrics["unchecked_pictures"]:
        found.append(
            f"What came for {unchecked:,} requests was not looked at, nor all of it saved, and counts as it came: "
            "too much was waiting, looking failed, or the run was ended."
        )
    if still := metrics.get("still_videos"):
        found.append(f"{still:,} videos do not move: all frames of each are alike.")
    return found


def _since_due(metrics: dict[str, Any]) -> Sequence[str]:
    """Return the metrics since due times, if --max-concurrency hides waits."""
    formats = {"latency_since_due_p95": format_seconds, "slo_attainment_rate_since_due": "{:.4g}".format}
    return [f"{name} is {format_value(metrics[name])}" for name, format_value in formats.items() if name in metrics]
