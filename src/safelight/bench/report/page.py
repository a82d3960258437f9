"""The report page of a run or a sweep."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safelight.bench.formatting import format_seconds
from safelight.bench.report.plots import breakdown, latency_distribution, timeline
from safelight.bench.run import Run
from safelight.bench.stats.metrics import Metrics
from safelight.reports.atomic_files import write_atomically
from safelight.reports.data import data_of
from safelight.reports.drawing import drawing_of
from safelight.reports.figure_files import write_figure
from safelight.reports.page import Answer, Chapter, Page, Tile, html_of
from safelight.reports.result import Result

KIND = "Benchmark report"

TILES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "slo_attainment_rate": ("met their deadlines", lambda value: f"{100 * value:.4g} %"),
    "slo_attainment_rate_since_due": ("met them since due", lambda value: f"{100 * value:.4g} %"),
    "throughput_qps": ("answers per second", lambda value: f"{value:.4g}"),
    "latency_p50": ("latency p50", format_seconds),
    "latency_p95": ("latency p95", format_seconds),
    "latency_since_due_p95": ("since due p95", format_seconds),
    "failed_requests": ("failed", lambda value: f"{value:,}"),
    "scene_score_mean": ("scene score", lambda value: f"{100 * value:.4g} %"),
    "send_lag_p99": ("send lag p99", format_seconds),
    "held": ("held by the best estimate", lambda value: f"{value:.4g}"),
    "surely_held": ("held for sure", lambda value: f"{value:.4g}"),
    "surely_missed": ("missed for sure", lambda value: f"{value:.4g}"),
}


def plots_of(runs: Sequence[Run], metrics: Metrics) -> Sequence[Result]:
    """Return the plots of one load."""
    by_run = {str(number): run for number, run in enumerate(metrics["runs"], 1)}
    parts = (
        latency_distribution(runs),
        timeline(runs),
        breakdown(by_run if len(by_run) > 1 else {}, by="run", title="By run"),
        *(breakdown(metrics[f"by_{by}"], by=by, title=f"By {by}") for by in ("size", "adapters", "tenant", "service")),
    )
    return [part for part in parts if part is not None]


def write_page(
    path: Path, results: Sequence[Result], *, metrics: Metrics, url: str, title: str, notes: Sequence[str], command: str
) -> None:
    """Write a page that loads nothing from anywhere.

    Args:
        path: of a file that is created or replaced.
        results: the plots.
        metrics: the main ones are shown as tiles.
        url: of the server.
        title: of the page.
        notes: sentences for readers.
        command: that produced the results.

    Raises:
        CannotWrite: if the file cannot be written.
    """
    failures = [
        f"{facts['count']:,} failed: {facts['meaning']}. For instance: {facts['samples'][0]}"
        for facts in metrics.get("failures", {}).values()
    ]
    tiles = [
        Tile(label=label, value=format_value(metrics[name]))
        for name, (label, format_value) in TILES.items()
        if metrics.get(name) is not None
    ]
    chapter = Chapter(
        anchor="run", title="Results", tiles=tiles, answers=[_answer(result, command) for result in results]
    )
    page = Page(
        name=title,
        path=url,
        summary=f"{metrics['completed_requests']:,} answers within {format_seconds(metrics['duration'])} from {url}.",
        notes=[*notes, *failures],
        chapters=[chapter],
        kind=KIND,
    )
    text = html_of(page)
    write_atomically(path, lambda to: to.write_text(text, encoding="utf-8"))


def _answer(result: Result, command: str) -> Answer:
    is_answered = not result.table.is_empty()
    return Answer(
        anchor=result.name,
        title=result.title,
        findings=result.findings,
        drawing=drawing_of(result, prefix=result.name) if is_answered else None,
        data=data_of(result.table, file_name=f"{result.name}.csv") if is_answered else None,
        command=command,
    )


def write_plots(folder: Path, results: Sequence[Result]) -> None:
    """Write each plot as PNG and as PDF; raises CannotWrite."""
    for result in results:
        if not result.table.is_empty():
            for ending in ("png", "pdf"):
                write_figure(result, folder / f"{result.name}.{ending}")
