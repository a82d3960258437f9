"""`safelight bench sweep`, `capacity` and `compare`."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safelight.bench.comparing import cautions, compare, read_result
from safelight.bench.figures import Figures, figures_of
from safelight.bench.pictured import against_level
from safelight.bench.report import write_page
from safelight.bench.running import Stop, run
from safelight.bench.searching import Point, Search, knee
from safelight.cli.bench_plan import Course
from safelight.cli.bench_showing import say, shown_progress, warnings_about
from safelight.cli.bench_writing import command_line, write_json
from safelight.cli.errors import Misuse
from safelight.core.errors import shorten
from safelight.traces.analyses.figure_files import write_figure

FIGURE_ENDINGS = (".png", ".pdf", ".svg")


class Interrupted(Exception):
    """Somebody has had enough; what was measured until then is kept."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Runs at several levels.

    Attributes:
        level: what differs, `request_rate` or `max_concurrency`.
        points: whole runs, in the order in which they were made.
        target: attainment that is wanted.
        held: the highest level that attains it; None if none was seen to.
        is_partial: whether it was interrupted.
    """

    level: str
    points: Sequence[Point]
    target: float
    held: float | None
    is_partial: bool

    @property
    def facts(self) -> dict[str, Any]:
        """All of it for a file."""
        return {
            "level": self.level,
            "target": self.target,
            "held": self.held,
            "partial": self.is_partial,
            "points": [{self.level: point.level, **point.figures} for point in self.points],
        }


def numbers_of(text: str, *, option: str) -> list[float]:
    """Return numbers that stand between commas; raises Misuse."""
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < number < math.inf for number in found):
        raise Misuse(f"{option} is {shorten(text)}; write positive numbers with commas, as in 0.5,1,2,4.")
    return found


async def swept(course: Course, levels: Sequence[float], *, level: str, target: float, stop: Stop) -> Series:
    """Run a load at each level."""
    measure = _measure(course, level, stop)
    points, is_partial = list[Point](), False
    try:
        for each in levels:
            points.append(Point(level=each, figures=await measure(each)))
    except Interrupted:
        is_partial = True
    return Series(level=level, points=points, target=target, held=knee(points, target=target), is_partial=is_partial)


async def searched(course: Course, search: Search, *, stop: Stop) -> Series:
    """Search the highest rate that holds."""
    held, is_partial = None, False
    try:
        held = await search.run(_measure(course, "request_rate", stop))
    except Interrupted:
        is_partial = True
    return Series(level="request_rate", points=search.points, target=search.target, held=held, is_partial=is_partial)


def _measure(course: Course, level: str, stop: Stop) -> Callable[[float], Awaitable[Figures]]:
    async def measure(value: float) -> Figures:
        is_rate = level == "request_rate"
        plan = course.timed(rate=value) if is_rate else course.timed(limit=int(value))
        with shown_progress(is_off=course.flags.disable_tqdm, title=f"{value:g}") as watch:
            done = await run(plan, stop=stop, watch=watch, say=say if not _said else _nobody)
        _said.append(level)
        if done.is_partial:
            raise Interrupted
        figures = {**course.facts, level: value, **({"arrivals": course.arrivals} if is_rate else {})} | figures_of(
            done
        )
        say(f"{_words(level, value)}: {_summary(figures)}")
        for sentence in warnings_about(figures):
            say(sentence)
        return figures

    _said: list[str] = []
    return measure


def _nobody(_: str) -> None:
    """Take no notice of what was said before."""


def _words(level: str, value: float) -> str:
    return f"{value:.4g} requests per second" if level == "request_rate" else f"{value:.0f} in flight"


def _summary(figures: Figures) -> str:
    parts = []
    if (attainment := figures.get("slo_attainment_rate")) is not None:
        parts.append(f"attainment {attainment:.4f}")
    if figures["latency_p95"] is not None:
        parts.append(f"p50 {figures['latency_p50']:.4g} s, p95 {figures['latency_p95']:.4g} s")
    return ", ".join([*parts, f"{figures['failed_requests']} failed"])


def write_series(series: Series, path: Path, *, course: Course) -> None:
    """Write a series as JSON or a figure where the file's name ends so, else as a page; raises CannotWrite."""
    if path.suffix == ".json":
        write_json(course.facts | series.facts, path)
        return
    result = against_level(series.points, level=series.level, target=series.target, held=series.held)
    if path.suffix in FIGURE_ENDINGS:
        write_figure(result, path)
        return
    write_page(
        path,
        [result],
        figures={
            "completed_requests": sum(point.figures["completed_requests"] for point in series.points),
            "duration": sum(point.figures["duration"] for point in series.points),
        },
        url=course.plan.server.url,
        title=f"{course.flags.dataset} at {len(series.points)} levels",
        notes=[*course.plan.notes, *(["This series was ended early."] if series.is_partial else [])],
        command=command_line(),
    )


def print_series(series: Series) -> None:
    """Print a line for each level, and the highest that holds."""
    table = Table(box=None, pad_edge=False)
    for name in (series.level.replace("_", " "), "attainment", "throughput", "p50", "p95", "p99", "failed"):
        table.add_column(name, justify="right")
    for point in sorted(series.points, key=lambda point: point.level):
        figures = point.figures
        numbers = (
            figures.get(n)
            for n in ("slo_attainment_rate", "throughput_qps", "latency_p50", "latency_p95", "latency_p99")
        )
        told = ("" if number is None else f"{number:.4g}" for number in numbers)
        table.add_row(f"{point.level:.4g}", *told, f"{figures['failed_requests']:,}")
    console = Console(highlight=False)
    console.print(table)
    if series.held is not None:
        console.print(f"attainment {series.target:g} held up to {_words(series.level, series.held)}", soft_wrap=True)
    elif any(point.attainment is not None for point in series.points):
        console.print(f"attainment {series.target:g} held nowhere", soft_wrap=True)


def print_comparison(a: Path, b: Path, *, as_json: bool) -> None:
    """Print how B stands to A; raises BadResult."""
    (of_a, facts_a), (of_b, facts_b) = read_result(a), read_result(b)
    differences = compare(of_a.latencies_s, of_b.latencies_s)
    notes = cautions(facts_a, facts_b)
    if as_json:
        told = [{**{n: getattr(d, n) for n in d.__dataclass_fields__}, "verdict": d.verdict} for d in differences]
        print(msgspec.json.encode({"cautions": notes, "differences": told}).decode())
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "A", "B", "B / A", "95 % interval", "B faster", ""):
        table.add_column(name, justify="right" if name else "left")
    for each in differences:
        low, high = each.bounds
        table.add_row(
            each.name,
            f"{each.of_a:.4g} s",
            f"{each.of_b:.4g} s",
            f"{each.ratio:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{each.chance:.1%}",
            each.verdict,
        )
    console = Console(highlight=False)
    console.print(table)
    for note in notes:
        console.print(escape(note), soft_wrap=True)
