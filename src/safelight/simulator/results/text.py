"""The results of a scenario as tables of text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from safelight.reports.formatting import format_duration, format_number, format_share
from safelight.simulator.results.documents import RunDocument, SimulationDocument, SummaryDocument
from safelight.simulator.results.fidelity import FidelityDocument, Prediction
from safelight.simulator.results.intervals import Estimate


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure in a table: its name, its label, and how its values are written."""

    name: str
    label: str
    write: Callable[[float], str]


ROWS: tuple[Row, ...] = (
    Row(name="requests", label="requests", write=format_number),
    Row(name="attainment", label="attainment", write=format_share),
    Row(name="violations", label="violations", write=format_share),
    Row(name="late", label="late", write=format_number),
    Row(name="refused", label="refused", write=format_number),
    Row(name="expired", label="expired", write=format_number),
    Row(name="failed", label="failed", write=format_number),
    Row(name="quality", label="quality, finished", write=format_number),
    Row(name="escalated", label="escalated", write=format_share),
    Row(name="latency_mean_s", label="latency mean", write=format_duration),
    Row(name="latency_p50_s", label="latency p50", write=format_duration),
    Row(name="latency_p95_s", label="latency p95", write=format_duration),
    Row(name="latency_p99_s", label="latency p99", write=format_duration),
    Row(name="latency_per_step_mean_s", label="latency per step", write=format_duration),
    Row(name="queue_mean_s", label="queue mean", write=format_duration),
    Row(name="throughput_per_s", label="throughput", write=lambda value: f"{format_number(value)}/s"),
    Row(name="adapter_loads_per_request", label="adapter loads per request", write=format_number),
    Row(name="merges", label="merges", write=format_number),
    Row(name="pauses", label="pauses", write=format_number),
    Row(name="moves", label="moves", write=format_number),
    Row(name="retries", label="retries", write=format_number),
    Row(name="utilization", label="utilization", write=format_share),
    Row(name="gpu_s", label="GPU seconds", write=format_number),
)

QUIET = frozenset({"late", "refused", "expired", "failed", "escalated", "merges", "pauses", "moves", "retries"})
"""Rows that are left out where all values are 0."""


MOST_COLUMNS = 5
"""Policies in one table."""


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table: a title, column headings, and rows whose first cell is a label."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables_of(document: SimulationDocument) -> Sequence[TextTable]:
    """Return one table for each variant and load, with a column for each policy, and those of interrupted runs.

    Many policies are divided among several tables.
    """
    groups: dict[tuple[str, float], list[SummaryDocument]] = {}
    for summary in document.summaries:
        groups.setdefault((summary.variant, summary.load), []).append(summary)
    tables = [
        _of_load(load, summaries[start : start + MOST_COLUMNS], variant)
        for (variant, load), summaries in groups.items()
        for start in range(0, len(summaries), MOST_COLUMNS)
    ]
    incomplete = [run for run in document.runs if not run.is_complete]
    return [*tables, *map(_of_run, incomplete)]


def fidelity_table_of(document: FidelityDocument) -> TextTable:
    """Return measured figures beside predicted ones, with the errors of the predictions."""
    measured, predictions = document.measured, document.predictions
    rows = []
    for row in ROWS:
        known = getattr(measured, row.name, None)
        if known is not None and not (row.name in QUIET and known == 0):
            cells = [_predicted(row, prediction) for prediction in predictions]
            rows.append((row.label, row.write(known), *(cell for pair in cells for cell in pair)))
    kind = "simulated before" if measured.simulated else "measured"
    headings = [(f"simulated, {prediction.policy}", "error") for prediction in predictions]
    return TextTable(
        title=f"Simulated against {kind}: {measured.requests:,} requests of {document.log}",
        headings=("", kind, *(heading for pair in headings for heading in pair)),
        rows=tuple(rows),
    )


def _predicted(row: Row, prediction: Prediction) -> tuple[str, str]:
    error = prediction.errors.get(row.name)
    return _cell(row, prediction.figures.get(row.name)), "" if error is None else f"{100 * error:+.1f} %"


def _of_load(load: float, summaries: Sequence[SummaryDocument], variant: str) -> TextTable:
    n = max(summary.n for summary in summaries)
    rate = format_number(summaries[0].rate_per_s)
    over = f"mean and 95 % interval over n = {n} seeds" if n > 1 else "one seed, no interval"
    rows = []
    for row in ROWS:
        values = [summary.figures.get(row.name) for summary in summaries]
        if _is_shown(row, values):
            rows.append((row.label, *(_cell(row, value) for value in values)))
    return TextTable(
        title=f"Simulated: {f'{variant}, ' if variant else ''}load {load:g}, {rate} requests/s, {over}",
        headings=("", *(summary.policy for summary in summaries)),
        rows=tuple(rows),
    )


def _of_run(run: RunDocument) -> TextTable:
    known = {row.name: getattr(run.figures, row.name) for row in ROWS}
    rows = [(row.label, row.write(known[row.name])) for row in ROWS if known[row.name] is not None]
    title = f"Simulated, incomplete: load {run.load:g}, seed {run.seed}, until {format_duration(run.figures.end_s)}"
    return TextTable(title=title, headings=("", run.policy), rows=tuple(rows))


def _is_shown(row: Row, values: Sequence[Estimate | None]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and not (row.name in QUIET and all(value.mean == 0 for value in known))


def _cell(row: Row, value: Estimate | None) -> str:
    if value is None:
        return ""
    if value.low is None or value.high is None or value.low == value.high:
        return row.write(value.mean)
    return f"{row.write(value.mean)} ({row.write(value.low)} to {row.write(value.high)})"
