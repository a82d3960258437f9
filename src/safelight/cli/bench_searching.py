"""`safelight bench sweep` and `capacity`."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from safelight.bench.figures import Figures, figures_of
from safelight.bench.pictured import against_level, distributions
from safelight.bench.report import write_page
from safelight.bench.running import Plan, Run, Stop, run_repeatedly
from safelight.bench.searching import Knee, Measure, Point, Search, knee, lack_of
from safelight.bench.spoken import seconds
from safelight.cli.bench_plan import Course
from safelight.cli.bench_showing import print_table, say, shown_progress, warnings_about
from safelight.cli.bench_writing import command_line, write_json
from safelight.cli.errors import INTERRUPTED, Misuse
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
        is_partial: whether it was interrupted.
    """

    level: str
    points: Sequence[Point]
    target: float
    is_partial: bool

    @property
    def knee(self) -> Knee:
        """Up to which level the target is attained."""
        return knee(self.points, target=self.target)

    @property
    def facts(self) -> dict[str, Any]:
        """All of it for a file."""
        return {
            "level": self.level,
            "target": self.target,
            **asdict(self.knee),
            "partial": self.is_partial,
            "points": [
                {self.level: point.level, "verdict": point.verdict(self.target), **point.figures}
                for point in self.points
            ],
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
    """Run a load at each level, as often as the flags say."""
    measure = _measure(course, level, stop)
    points = list[Point]()
    with suppress(Interrupted):
        for each in levels:
            points.append(Point(level=each, figures=await measure(each)))
    return Series(level=level, points=points, target=target, is_partial=stop.was_called)


async def searched(course: Course, search: Search, *, stop: Stop) -> Series:
    """Search the highest rate that holds; a rate is run again, as often as the flags say, until it is sure."""
    with suppress(Interrupted):
        await search.run(_measure(course, "request_rate", stop, target=search.target))
    return Series(level="request_rate", points=search.points, target=search.target, is_partial=stop.was_called)


def _measure(course: Course, level: str, stop: Stop, target: float | None = None) -> Measure:
    """Return what measures a level; with a target, only until it is sure whether that is attained."""
    flags, said = course.flags, list[str]()

    def plan_of(value: float, turn: int) -> Plan:
        return (
            course.timed(rate=value, turn=turn)
            if level == "request_rate"
            else course.timed(limit=int(value), turn=turn)
        )

    def point_of(value: float, runs: Sequence[Run]) -> Point:
        arrivals = {"arrivals": course.arrivals_at_rates} if level == "request_rate" else {}
        return Point(level=value, figures={**course.facts, level: value, **arrivals} | figures_of(*runs))

    def is_enough(value: float, runs: Sequence[Run]) -> bool:
        return stop.was_called or (target is not None and not point_of(value, runs).is_open(target))

    async def measure(value: float) -> Figures:
        if stop.was_called:
            raise Interrupted
        with (
            shown_progress(is_off=flags.disable_tqdm, title=f"{value:g}", repeats=flags.repeats) as watch,
            _as_interruption(stop, is_first=not said),
        ):
            runs = await run_repeatedly(
                partial(plan_of, value),
                repeats=flags.repeats,
                stop=stop,
                watch=watch,
                say=_nobody if said else say,
                is_enough=partial(is_enough, value),
            )
        said.append(level)
        whole = [run for run in runs if not run.is_partial]
        if not whole:
            raise Interrupted
        point = point_of(value, whole)
        say(f"{_words(level, value)}: {_summary(point)}")
        for sentence in warnings_about(point.figures):
            say(sentence)
        return point.figures

    return measure


@contextmanager
def _as_interruption(stop: Stop, *, is_first: bool) -> Iterator[None]:
    """Keep what was measured before when warm-ups are interrupted."""
    try:
        yield
    except asyncio.CancelledError:
        if is_first or not stop.was_called:
            raise
        raise Interrupted from None


def _nobody(_: str) -> None:
    """Take no notice of what was said before."""


def _words(level: str, value: float) -> str:
    return f"{value:.4g} requests per second" if level == "request_rate" else f"{value:.0f} in flight"


def _summary(point: Point) -> str:
    parts, figures = [], point.figures
    if point.attainment is not None:
        parts.append(f"attainment {_share(point)}")
    if figures["latency_p95"] is not None:
        parts.append(f"p50 {seconds(figures['latency_p50'])}, p95 {seconds(figures['latency_p95'])}")
    if (count := len(figures["runs"])) > 1:
        parts.append(f"{count} runs")
    return ", ".join([*parts, f"{figures['failed_requests']} failed"])


def _share(point: Point) -> str:
    bounds = "" if point.bounds is None else " ({:.3f} to {:.3f})".format(*point.bounds)
    return "" if point.attainment is None else f"{point.attainment:.4f}{bounds}"


def show_series(series: Series, path: Path | None, *, course: Course) -> int:
    """Print a series, then write it if there is a file for it, and return the exit status; raises CannotWrite."""
    _print(series)
    if path is not None:
        _write(series, path, course=course)
    return INTERRUPTED if series.is_partial else 0


def _write(series: Series, path: Path, *, course: Course) -> None:
    """Write a series as JSON or a figure where the file's name ends so, else as a page; raises CannotWrite."""
    if path.suffix == ".json":
        write_json(course.facts | series.facts, path)
        return
    result = against_level(series.points, level=series.level, target=series.target, findings=findings_of(series))
    if path.suffix in FIGURE_ENDINGS:
        write_figure(result, path)
        return
    write_page(
        path,
        [result, distributions(series.points, level=series.level)],
        figures={
            **asdict(series.knee),
            "completed_requests": sum(point.figures["completed_requests"] for point in series.points),
            "duration": sum(point.figures["duration"] for point in series.points),
        },
        url=course.plan.server.url,
        title=f"{course.flags.dataset} at {len(series.points)} levels",
        notes=[*course.plan.notes, *(["This series was ended early."] if series.is_partial else [])],
        command=command_line(),
    )


def _print(series: Series) -> None:
    """Print a line for each level, and up to which one the target holds."""
    table = Table(box=None, pad_edge=False)
    for name in (series.level.replace("_", " "), "attainment", "runs", "throughput", "p50", "p95", "p99", "failed"):
        table.add_column(name, justify="right")
    table.add_column(f"{series.target:g}")
    for point in sorted(series.points, key=lambda point: point.level):
        figures = point.figures
        times = (figures[name] for name in ("latency_p50", "latency_p95", "latency_p99"))
        table.add_row(
            f"{point.level:.4g}",
            _share(point),
            f"{len(figures['runs'])}",
            f"{figures['throughput_qps']:.4g}",
            *("" if value is None else seconds(value) for value in times),
            f"{figures['failed_requests']:,}",
            point.verdict(series.target),
        )
    console = Console(highlight=False)
    print_table(table)
    for sentence in findings_of(series):
        console.print(sentence, soft_wrap=True)


def findings_of(series: Series) -> Sequence[str]:
    """Return in sentences up to which level the target holds, and how sure that is."""
    found, target = series.knee, f"attainment {series.target:g}"
    if not series.points:
        return []
    if all(point.attainment is None for point in series.points):
        return ["No request had a deadline, so there is no attainment; give deadlines with --slo-ms or --slo."]
    if found.held is None:
        best = f"By the best estimate, {target} held nowhere."
    else:
        best = f"By the best estimate, {target} held up to {_words(series.level, found.held)}."
    held = "nowhere" if found.surely_held is None else f"up to {_words(series.level, found.surely_held)}"
    missed = "nowhere" if found.surely_missed is None else f"at {found.surely_missed:.4g}"
    lack = lack_of(series.points, target=series.target) if found.surely_held is None else ""
    return [best, f"For sure, it held {held} and was missed {missed}.", *([lack] if lack else [])]
