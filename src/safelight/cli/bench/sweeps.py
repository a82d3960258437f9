"""`safelight bench sweep` and `capacity`."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from safelight.bench.formatting import format_seconds
from safelight.bench.load.runner import StopSignal
from safelight.bench.load.spec import LoadSpec
from safelight.bench.load.sweep import NextLevel, SweepConfig, SweepResult, run_sweep
from safelight.bench.report.page import write_page
from safelight.bench.report.plots import against_level, distributions
from safelight.bench.run import RunConfig
from safelight.bench.stats.levels import LevelResult, sample_size_note
from safelight.cli.bench.display import print_note, print_table, shown_progress, warnings_about
from safelight.cli.bench.outputs import command_line, write_json
from safelight.cli.errors import INTERRUPTED, Misuse
from safelight.cli.number_lists import BadNumberList, NumberList
from safelight.core.errors import shorten
from safelight.reports.figure_files import write_figure

FIGURE_ENDINGS = (".png", ".pdf", ".svg")
RATE, CONCURRENCY = "request_rate", "max_concurrency"

RATES = NumberList(low=math.ulp(0.0), high=math.nextafter(math.inf, 0.0))
"""Positive and finite."""

CONCURRENCIES = NumberList(low=1, high=math.nextafter(math.inf, 0.0), is_whole=True)


def rates_of(text: str, *, option: str) -> list[float]:
    """Parse positive numbers between commas; raises Misuse."""
    try:
        return RATES.parse(text)
    except BadNumberList:
        raise Misuse(f"{option} is {shorten(text)}; write positive numbers with commas, as in 0.5,1,2,4.") from None


def concurrencies_of(text: str, *, option: str) -> list[float]:
    """Parse positive whole numbers between commas; raises Misuse."""
    rates_of(text, option=option)
    try:
        return CONCURRENCIES.parse(text)
    except BadNumberList:
        raise Misuse(f"{option} is {shorten(text)}; write whole numbers with commas, as in 1,2,4.") from None


def sweep_config_of(spec: LoadSpec, *, level: str, target: float, until_sure: bool = False) -> SweepConfig:
    """Return the configuration of a sweep; raises Misuse or BadLoad for settings that have no effect in it."""
    if level == RATE:
        spec.check_rates_can_be_set()
    elif spec.settings.max_concurrency is not None:
        raise Misuse("--max-concurrency is what a sweep over --concurrencies sets; leave one of them out.")

    def config_of(value: float, turn: int) -> RunConfig:
        if level == RATE:
            return spec.config_for(rate=value, turn=turn, prefix=f"rate{value}-")
        return spec.config_for(max_concurrency=int(value), turn=turn, prefix=f"inflight{value:.0f}-")

    arrivals = {"arrivals": spec.arrivals_at_rate} if level == RATE else {}
    return SweepConfig(
        level=level,
        config_of=config_of,
        facts_of=lambda value: spec.facts | {level: value} | arrivals,
        target=target,
        repeats=spec.settings.repeats,
        until_sure=until_sure,
    )


async def run_with_progress(
    config: SweepConfig, next_level: NextLevel, *, stop: StopSignal, is_off: bool
) -> SweepResult:
    """Run a load at several levels, and print the result of each when it ends."""

    def report(point: LevelResult) -> None:
        print_note(f"{_level_text(config.level, point.level)}: {_summary(point)}")
        for sentence in warnings_about(point.metrics):
            print_note(sentence)

    return await run_sweep(
        config,
        next_level,
        stop=stop,
        progress_at=lambda value: shown_progress(is_off=is_off, title=f"{value:g}", repeats=config.repeats),
        notify=print_note,
        on_result=report,
    )


def _level_text(level: str, value: float) -> str:
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


def show_result(result: SweepResult, path: Path | None, *, spec: LoadSpec) -> int:
    """Print a result, write it if there is a file for it, and return the exit status; raises CannotWrite."""
    _print(result)
    if path is not None:
        _write(result, path, spec=spec)
    return INTERRUPTED if result.is_partial else 0


def _write(result: SweepResult, path: Path, *, spec: LoadSpec) -> None:
    """Write a result as JSON or a plot if the file's name says so, else as a page; raises CannotWrite."""
    if path.suffix == ".json":
        write_json(spec.facts | result.facts, path)
        return
    plot = against_level(result.points, level=result.level, target=result.target, findings=findings_of(result))
    if path.suffix in FIGURE_ENDINGS:
        write_figure(plot, path)
        return
    write_page(
        path,
        [plot, distributions(result.points, level=result.level)],
        metrics={
            **asdict(result.capacity),
            "completed_requests": sum(point.metrics["completed_requests"] for point in result.points),
            "duration": sum(point.metrics["duration"] for point in result.points),
        },
        url=spec.config.server.public_url,
        title=f"{spec.settings.dataset} at {len(result.points)} levels",
        notes=[*spec.config.notes, *(["This series was ended early."] if result.is_partial else [])],
        command=command_line(),
    )


def _print(result: SweepResult) -> None:
    """Print a row for each level, and up to which one the target holds."""
    table = Table(box=None, pad_edge=False)
    for name in (result.level.replace("_", " "), "attainment", "runs", "throughput", "p50", "p95", "p99", "failed"):
        table.add_column(name, justify="right")
    table.add_column(f"{result.target:g}")
    for point in sorted(result.points, key=lambda point: point.level):
        metrics = point.metrics
        times = (metrics[name] for name in ("latency_p50", "latency_p95", "latency_p99"))
        table.add_row(
            f"{point.level:.4g}",
            _share(point),
            f"{len(metrics['runs'])}",
            f"{metrics['throughput_qps']:.4g}",
            *("" if value is None else format_seconds(value) for value in times),
            f"{metrics['failed_requests']:,}",
            point.verdict(result.target),
        )
    console = Console(highlight=False)
    print_table(table)
    for sentence in findings_of(result):
        console.print(sentence, soft_wrap=True)


def findings_of(result: SweepResult) -> Sequence[str]:
    """Return sentences on up to which level the target holds, and how certain that is."""
    found, target = result.capacity, f"attainment {result.target:g}"
    if not result.points:
        return []
    if all(point.attainment is None for point in result.points):
        return ["No request had a deadline, so there is no attainment; give deadlines with --slo-ms or --slo."]
    if found.held is None:
        best = f"By the best estimate, {target} held nowhere."
    else:
        best = f"By the best estimate, {target} held up to {_level_text(result.level, found.held)}."
    held = "nowhere" if found.surely_held is None else f"up to {_level_text(result.level, found.surely_held)}"
    missed = "nowhere" if found.surely_missed is None else f"at {found.surely_missed:.4g}"
    lack = sample_size_note(result.points, target=result.target) if found.surely_held is None else ""
    return [best, f"For sure, it held {held} and was missed {missed}.", *([lack] if lack else [])]
