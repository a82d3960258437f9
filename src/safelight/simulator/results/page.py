"""The report page of a simulation."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from safelight.reports.atomic_files import write_atomically
from safelight.reports.data import data_of
from safelight.reports.drawing import drawing_of
from safelight.reports.page import Answer, Chapter, Page, Tile, html_of
from safelight.reports.result import Result
from safelight.simulator.results.documents import RunResult, SimulationDocument, SummaryDocument
from safelight.simulator.results.plots import comparison_of, gantt_of, timeline_of
from safelight.simulator.results.text import ROWS

KIND = "Simulation report"
MARK = "All figures are simulated: they come from profiles and virtual time, not from a device."

TILES = ("attainment", "latency_p95_s", "quality", "throughput_per_s", "adapter_loads_per_request", "utilization")


def write_page(path: Path, document: SimulationDocument, results: Sequence[RunResult], *, command: str) -> None:
    """Write a page that loads nothing from anywhere.

    Args:
        path: of a file that is created or replaced.
        document: of all runs.
        results: the same runs, with timelines and spans; those of the first seed of each variant,
            policy and load are drawn.
        command: that gives the numbers.

    Raises:
        CannotWrite: if the file cannot be written.
    """
    notes = [MARK]
    if not document.is_complete:
        notes.append("The simulation was interrupted; runs that are marked as incomplete end early.")
    notes += document.notes
    first = {(each.key.variant, each.key.policy, each.key.load): each for each in reversed(results)}
    drawn = [result for result in results if any(result is each for each in first.values())]
    chapters = [
        *([_overview(document, command)] if document.summaries else []),
        *(_of_run(number, result, command) for number, result in enumerate(drawn)),
    ]
    page = Page(
        name=document.title,
        path=document.scenario,
        summary=f"{len(document.runs)} simulated runs of {len(document.policies)} choices of policies.",
        notes=notes,
        chapters=chapters,
        kind=KIND,
    )
    text = html_of(page)
    write_atomically(path, lambda to: to.write_text(text, encoding="utf-8"))


def _overview(document: SimulationDocument, command: str) -> Chapter:
    return Chapter(
        anchor="side-by-side",
        title="Simulated policies side by side",
        tiles=[
            Tile(label=f"simulated attainment, {each.policy}, load {each.load:g}", value=_attainment(each))
            for each in document.summaries[:6]
        ],
        answers=[
            _answer(comparison_of(document, variant), command, f"side-by-side-{number}")
            for number, variant in enumerate(dict.fromkeys(each.variant for each in document.summaries))
        ],
    )


def _attainment(summary: SummaryDocument) -> str:
    found = summary.figures.get("attainment")
    return "" if found is None else next(row for row in ROWS if row.name == "attainment").write(found.mean)


def _of_run(number: int, result: RunResult, command: str) -> Chapter:
    anchor = f"run-{number}"
    values = {row.name: getattr(result.figures, row.name) for row in ROWS}
    tiles = [
        Tile(label=f"simulated {row.label}", value=row.write(values[row.name]))
        for row in ROWS
        if row.name in TILES and values[row.name] is not None
    ]
    mark = "" if result.is_complete else ", incomplete"
    return Chapter(
        anchor=anchor,
        title=f"Simulated: {result.key.text}{mark}",
        tiles=tiles,
        answers=[_answer(each, command, anchor) for each in (timeline_of(result), gantt_of(result))],
    )


def _answer(result: Result, command: str, prefix: str) -> Answer:
    anchor = f"{prefix}-{result.name}".replace(" ", "-")
    is_answered = not result.table.is_empty()
    return Answer(
        anchor=anchor,
        title=result.title,
        findings=result.findings,
        drawing=drawing_of(result, prefix=anchor) if is_answered else None,
        data=data_of(_marked(result.table), file_name=f"simulated-{result.name}.csv") if is_answered else None,
        command=command,
    )


def _marked(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose rows say that they are simulated, wherever they are taken."""
    return table.select(pl.lit(value=True).alias("simulated"), pl.all())
