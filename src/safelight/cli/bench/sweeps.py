"""`safelight bench sweep` and `capacity`."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from safelight.bench.formatting import seconds
from safelight.bench.load.runner import Plan, Stop
from safelight.bench.load.spec import Course
from safelight.bench.load.sweep import Levels, NextLevel, Series, measured
from safelight.bench.report.page import write_page
from safelight.bench.report.plots import against_level, distributions
from safelight.bench.stats.levels import Point, lack_of
from safelight.cli.bench.display import print_table, say, shown_progress, warnings_about
from safelight.cli.bench.outputs import command_line, write_json
from safelight.cli.errors import INTERRUPTED, Misuse
from safelight.core.errors import shorten
from safelight.traces.analyses.figure_files import write_figure

FIGURE_ENDINGS = (".png", ".pdf", ".svg")
RATE, LIMIT = "request_rate", "max_concurrency"


def numbers_of(text: str, *, option: str) -> list[float]:
    """Return numbers that stand between commas; raises Misuse."""
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < number < math.inf for number in found):
        raise Misuse(f"{option} is {shorten(text)}; write positive numbers with commas, as in 0.5,1,2,4.")
    return found


def whole_numbers_of(text: str, *, option: str) -> list[float]:
    """Return whole numbers of at least 1 that stand between commas; raises Misuse."""
    found = numbers_of(text, option=option)
    if not all(number.is_integer() for number in found):
        raise Misuse(f"{option} is {shorten(text)}; write whole numbers with commas, as in 1,2,4.")
    return found


def levels_of(course: Course, *, level: str, target: float, until_sure: bool = False) -> Levels:
    """Return what is run at each level; raises Misuse for flags that would not count there."""
    if level == RATE:
        course.check_rates_can_be_set()
    elif course.flags.max_concurrency is not None:
        raise Misuse("--max-concurrency is what a sweep over --concurrencies sets; leave one of them out.")

    def plan_of(value: float, turn: int) -> Plan:
        if level == RATE:
            return course.timed(rate=value, turn=turn, prefix=f"rate{value}-")
        return course.timed(limit=int(value), turn=turn, prefix=f"inflight{value:.0f}-")

    arrivals = {"arrivals": course.arrivals_at_rates} if level == RATE else {}
    return Levels(
        level=level,
        plan_of=plan_of,
        facts_of=lambda value: course.facts | {level: value} | arrivals,
        target=target,
        repeats=course.flags.repeats,
        until_sure=until_sure,
    )


async def shown_series(levels: Levels, next_level: NextLevel, *, stop: Stop, is_off: bool) -> Series:
    """Run a load at several levels, and tell of each when it ends."""

    def tell(point: Point) -> None:
        say(f"{_words(levels.level, point.level)}: {_summary(point)}")
        for sentence in warnings_about(point.figures):
            say(sentence)

    return await measured(
        levels,
        next_level,
        stop=stop,
        shown=lambda value: shown_progress(is_off=is_off, title=f"{value:g}", repeats=levels.repeats),
        say=say,
        tell=tell,
    )


def _words(level: str, value: float) -> str:
    return f"{value:.4g} requests per second" if level == RATE else f"{value:.0f} in flight"


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
        url=course.plan.server.public_url,
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
