"""A trace as a page: every analysis of every service, with figures, findings and data."""

import itertools
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from safelight.reports.atomic_files import write_atomically
from safelight.reports.data import data_of
from safelight.reports.drawing import drawing_of
from safelight.reports.formatting import format_count, format_duration
from safelight.reports.page import Answer, Chapter, Page, Tile, html_of
from safelight.reports.result import Result
from safelight.traces.describing import Adapters, Description, Facts, describe
from safelight.traces.reading import Trace
from safelight.traces.report.contents import CONTENTS, ReportSection
from safelight.traces.usage import usages

MOST_SERVICES = 6

Progress = Callable[[int, int], None]


def _ignore(done: int, total: int) -> None:
    """Ignore progress."""


def write_report(
    trace: Trace,
    path: Path,
    *,
    service: str | None = None,
    contents: Sequence[ReportSection] = CONTENTS,
    on_answer: Progress = _ignore,
) -> None:
    """Write the page.

    Args:
        trace: what it is about.
        path: of a file that is made or replaced.
        service: the only one to report on; else the `MOST_SERVICES` with the most requests.
        contents: the sections on each service.
        on_answer: is called with the number of sections so far, and of all.

    Raises:
        NoSuchService: if there is no request for `service`.
        BadTrace: if the trace turns out to be damaged.
        CannotWrite: if the file cannot be written.
    """
    text = html_of(_page(trace, service, contents, on_answer))
    write_atomically(path, lambda to: to.write_text(text, encoding="utf-8"))


def _page(trace: Trace, service: str | None, contents: Sequence[ReportSection], on_answer: Progress) -> Page:
    described = describe(trace, service=service)
    services = _services(described)
    done, total = itertools.count(1), len(services) * len(contents)

    def note() -> None:
        on_answer(next(done), total)

    return Page(
        name=trace.path.name,
        path=str(trace.path),
        summary=_summary(described),
        notes=(*_notes(trace), *_left_out(described, services)),
        chapters=[_chapter(trace, facts, contents, number, note) for number, facts in enumerate(services, 1)],
    )


def _services(described: Description) -> list[Facts]:
    """Return what the report covers: the largest services by name, or all requests where there are no services."""
    if not described.services:
        return [described.whole]
    largest = sorted(described.services, key=lambda facts: -facts.requests)[:MOST_SERVICES]
    return [facts for facts in described.services if facts in largest]


def _summary(described: Description) -> str:
    whole = described.whole
    parts = [format_count(whole.requests, "request")]
    if len(described.services) > 1:
        parts.append(f"for {len(described.services):,} services")
    if whole.instances:
        parts.append(f"on {format_count(whole.instances, 'instance')}")
    if whole.first_s is not None and whole.last_s is not None:
        parts.append(f"within {format_duration(whole.last_s - whole.first_s)}")
    return f"{' '.join(parts)}. Source: {described.source}."


def _notes(trace: Trace) -> list[str]:
    dropped = [
        f"Left out: {format_count(count, 'request')}, for this reason: {reason}."
        for reason, count in trace.dropped.items()
    ]
    return [*trace.notes, *dropped]


def _left_out(described: Description, told: Sequence[Facts]) -> list[str]:
    if not described.services:
        return []
    notes = []
    if unnamed := described.whole.requests - sum(facts.requests for facts in described.services):
        notes.append(f"{format_count(unnamed, 'request')} without a service left out here.")
    if more := len(described.services) - len(told):
        notes.append(
            f"{format_count(more, 'smaller service')} left out here; --service NAME makes a page about any one."
        )
    return notes


def _chapter(
    trace: Trace, facts: Facts, contents: Sequence[ReportSection], number: int, note: Callable[[], None]
) -> Chapter:
    name, anchor = facts.service, f"service-{number}"
    frame = trace.frame if name is None else trace.frame.filter(pl.col("service") == name)
    found = usages(frame)
    tiles, answers = _tiles(facts), []
    for section in contents:
        result = section.ask(frame, found)
        tiles += section.tiles(result)
        answers.append(_answer(trace, name, section, result, f"{anchor}-{result.name}"))
        note()
    return Chapter(
        anchor=anchor,
        title="All requests" if name is None else f"Service {name}",
        tiles=tiles,
        answers=answers,
    )


def _tiles(facts: Facts) -> list[Tile]:
    tiles = [Tile(label="requests", value=f"{facts.requests:,}")]
    if facts.rate is not None:
        tiles.append(Tile(label="requests per second", value=f"{facts.rate:.3g}"))
    if facts.instances:
        tiles.append(Tile(label="instances", value=f"{facts.instances:,}"))
    for kind, adapters in (("ControlNets", facts.controlnets), ("LoRAs", facts.loras)):
        if adapters.invocations:
            tiles += _adapter_tiles(kind, adapters, facts.requests)
    return tiles


def _adapter_tiles(kind: str, adapters: Adapters, requests: int) -> list[Tile]:
    distinct = [Tile(label=f"different {kind}", value=f"{adapters.distinct:,}")] if adapters.distinct else []
    return [*distinct, Tile(label=f"{kind} per request", value=f"{adapters.invocations / requests:.2f}")]


def _answer(trace: Trace, service: str | None, section: ReportSection, result: Result, anchor: str) -> Answer:
    is_answered = not result.table.is_empty()
    csv = f"{result.name}.csv"
    return Answer(
        anchor=anchor,
        title=result.title,
        findings=result.findings,
        drawing=drawing_of(result, prefix=anchor) if is_answered else None,
        data=data_of(result.table, file_name=csv) if is_answered else None,
        command=_command(trace, service, section, csv),
    )


def _command(trace: Trace, service: str | None, section: ReportSection, csv: str) -> str:
    name, *options = section.command
    if name == "published":
        return shlex.join(["safelight", "trace", name, str(trace.path), "-o", "published"])
    of_service = [] if service is None else ["--service", service]
    return shlex.join(["safelight", "trace", name, str(trace.path), *of_service, *options, "--csv", csv])
