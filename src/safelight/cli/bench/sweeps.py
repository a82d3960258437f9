"""`safelight bench sweep` and `capacity`."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from safelight.bench.formatting import format_seconds
from safelight.bench.load.runner import RunConfig, StopSignal
from safelight.bench.load.spec import LoadSpec
from safelight.bench.load.sweep import NextLevel, SweepConfig, SweepResult, run_sweep
from safelight.bench.report.page import write_page
from safelight.bench.report.plots import against_level, distributions
from safelight.bench.stats.levels import LevelResult, sample_size_note
from safelight.cli.bench.display import print_note, print_table, shown_progress, warnings_about
from safelight.cli.bench.outputs import command_line, write_json
from safelight.cli.errors import INTERRUPTED, Misuse
from safelight.core.errors import shorten
from safelight.reports.figure_files import write_figure

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


def levels_of(spec: LoadSpec, *, level: str, target: float, until_sure: bool = False) -> SweepConfig:
    """Return what is run at each level; raises Misuse for flags that would not count there."""
    if level == RATE:
        spec.check_rates_can_be_set()
    elif spec.flags.max_concurrency is not None:
        raise Misuse("--max-concurrency is what a sweep over --concurrencies sets; leave one of them out.")

    def config_of(value: float, turn: int) -> RunConfig:
        if level == RATE:
            return spec.timed(rate=value, turn=turn, prefix=f"rate{value}-")
        return spec.timed(max_concurrency=int(value), turn=turn, prefix=f"inflight{value:.0f}-")

    arrivals = {"arrivals": spec.arrivals_at_rates} if level == RATE else {}
    return SweepConfig(
        level=level,
        config_of=config_of,
        facts_of=lambda value: spec.facts | {level: value} | arrivals,
        target=target,
        repeats=spec.flags.repeats,
        until_sure=until_sure,
    )


async def shown_series(levels: SweepConfig, next_level: NextLevel, *, stop: StopSignal, is_off: bool) -> SweepResult:
    """Run a load at several levels, and tell of each when it ends."""

    def tell(point: LevelResult) -> None:
        print_note(f"{_words(levels.level, point.level)}: {_summary(point)}")
        for sentence in warnings_about(point.metrics):
            print_note(sentence)

    return await run_sweep(
        levels,
        next_level,
        stop=stop,
        shown=lambda value: shown_progress(is_off=is_off, title=f"{value:g}", repeats=levels.repeats),
        notify=print_note,
        tell=tell,
    )


def _words(level: str, value: float) -> str:
    return f"{value:.4g} requests per second" if level == RATE else f"{value:.0f} in flight"


def _summary(point: LevelResult) -> str:
    parts, metrics = [], point.metrics
    if point.attainment is not None:
        parts.append(f"attainment {_share(point)}")
    if metrics["latency_p95"] is not None:
        parts.append(f"p50 {format_seconds(metrics['latency_p50'])}, p95 {format_seconds(metrics['latency_p95'])}")
    if (count := len(metrics["runs"])) > 1:
        parts.append(f"{count} runs")
    return ", ".join([*parts, f"{metrics['failed_requests']} failed"])


def _share(point: LevelResult) -> str:
    bounds = "" if point.bounds is None else " ({:.3f} to {:.3f})".format(*point.bounds)
    return "" if point.attainment is None else f"{point.attainment:.4f}{bounds}"


def show_series(series: SweepResult, path: Path | None, *, spec: LoadSpec) -> int:
    """Print a series, then write it if there is a file for it, and return the exit status; raises CannotWrite."""
    _print(series)
    if path is not None:
        _write(series, path, spec=spec)
    return INTERRUPTED if series.is_partial else 0


def _write(series: SweepResult, path: Path, *, spec: LoadSpec) -> None:
    """Write a series as JSON or a figure where the file's name ends so, else as a page; raises CannotWrite."""
    if path.suffix == ".json":
        write_json(spec.facts | series.facts, path)
        return
    result = against_level(series.points, level=series.level, target=series.target, findings=findings_of(series))
    if path.suffix in FIGURE_ENDINGS:
        write_figure(result, path)
        return
    write_page(
        path,
        [result, distributions(series.points, level=series.level)],
        metrics={
            **asdict(series.capacity_of),
            "completed_requests": sum(point.metrics["completed_requests"] for point in series.points),
            "duration": sum(point.metrics["duration"] for point in series.points),
        },
        url=spec.config.server.public_url,
        title=f"{spec.flags.dataset} at {len(series.points)} levels",
        notes=[*spec.config.notes, *(["This series was ended early."] if series.is_partial else [])],
        command=command_line(),
    )


def _print(series: SweepResult) -> None:
    """Print a line for each level, and up to which one the target holds."""
    table = Table(box=None, pad_edge=False)
    for name in (series.level.replace("_", " "), "attainment", "runs", "throughput", "p50", "p95", "p99", "failed"):
        table.add_column(name, justify="right")
    table.add_column(f"{series.target:g}")
    for point in sorted(series.points, key=lambda point: point.level):
        metrics = point.metrics
        times = (metrics[name] for name in ("latency_p50", "latency_p95", "latency_p99"))
        table.add_row(
            f"{point.level:.4g}",
            _share(point),
            f"{len(metrics['runs'])}",
            f"{metrics['throughput_qps']:.4g}",
            *("" if value is None else format_seconds(value) for value in times),
            f"{metrics['failed_requests']:,}",
            point.verdict(series.target),
        )
    console = Console(highlight=False)
    print_table(table)
    for sentence in findings_of(series):
        console.print(sentence, soft_wrap=True)


def findings_of(series: SweepResult) -> Sequence[str]:
    """Return in sentences up to which level the target holds, and how sure that is."""
    found, target = series.capacity_of, f"attainment {series.target:g}"
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
    lack = sample_size_note(series.points, target=series.target) if found.surely_held is None else ""
    return [best, f"For sure, it held {held} and was missed {missed}.", *([lack] if lack else [])]
