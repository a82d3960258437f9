"""`safelight bench`: load over HTTP, and its latencies as users would see them."""

import asyncio
import json
import signal
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from safelight.bench.load.settings import LoadSettings
from safelight.cli.bench.flags import LoadCommand, LoadGroup, with_load_flags
from safelight.cli.errors import FAILURE, INTERRUPTED, Misuse
from safelight.cli.options import AsJson
from safelight.cli.output_files import check_output_files

if TYPE_CHECKING:
    from safelight.bench.load.runner import StopSignal
    from safelight.bench.load.spec import LoadSpec
    from safelight.bench.stats.requirements import Requirement
    from safelight.cli.bench.outputs import Outputs

UNMET = 3
"""Exit status if a condition does not hold."""

Given = TypeVar("Given")

bench = typer.Typer(
    help="Send load to any diffusion server over HTTP, and measure it from its users' side.",
    invoke_without_command=True,
    cls=LoadGroup,
)

Require = Annotated[
    list[str] | None,
    typer.Option(metavar="CONDITION", help="Exit with status 3 unless it holds: attainment>=0.99; repeatable."),
]


@bench.callback(
    epilog="Examples:\n\nsafelight bench --base-url http://127.0.0.1:8000 --model shapes-large --task t2i "
    "--dataset shapes --num-prompts 50 --request-rate 1\n\n"
    "safelight bench --base-url http://127.0.0.1:8000 --model m --task t2i --dataset trace --dataset-path t.txt "
    "--num-prompts 50 --request-rate 1 --slo --require 'attainment>=0.99' --output-file o.json"
)
@with_load_flags
def _bench(
    settings: LoadSettings,
    ctx: typer.Context,
    *,
    output_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures there, as JSON.")] = None,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every request there, as a trace; .parquet or .jsonl."),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with figures there; .html.")] = None,
    figures_folder: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Write each figure there, as PNG and as PDF.")
    ] = None,
    require: Require = None,
    as_json: AsJson = False,
) -> int:
    """Send load to any diffusion server over HTTP, and measure it from its users' side."""
    if ctx.invoked_subcommand is not None:
        _check_nothing_is_lost(ctx, ctx.invoked_subcommand)
        return 0
    from safelight.bench.load.spec import load_spec_of
    from safelight.bench.stats.requirements import check_possible, parse
    from safelight.cli.bench.display import print_note
    from safelight.cli.bench.interruption import interruption
    from safelight.cli.bench.outputs import Outputs

    outputs = Outputs.checked(output_file, log, report, figures_folder, inputs=settings.input_files)
    with _as_misuse():
        requirements = [parse(text) for text in require or ()]
        spec = load_spec_of(settings, notify=print_note)
        check_possible(requirements, spec.config_for(), spec.facts)
        with interruption() as stop:
            return _measure(spec, outputs, requirements, stop=stop, as_json=as_json)


def _check_nothing_is_lost(ctx: typer.Context, command: str) -> None:
    """Raise Misuse for flags before a subcommand, which would not receive them."""
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise Misuse(
                f"{parameter.opts[0]} stands before {command}, and would be lost. Flags go behind the command: "
                f"safelight bench {command} ...; --help there tells which it has."
            )


@contextmanager
def _as_misuse() -> Iterator[None]:
    """Turn errors of the settings into Misuse, which has its own exit status."""
    from safelight.bench.errors import BadLoad, BadRequirement
    from safelight.traces.errors import BadArrivals, BadTrace

    try:
        yield
    except (BadLoad, BadRequirement, BadArrivals, BadTrace) as error:
        raise Misuse(str(error)) from None


def _measure(
    spec: "LoadSpec", outputs: "Outputs", requirements: "Sequence[Requirement]", *, stop: "StopSignal", as_json: bool
) -> int:
    from safelight.bench.load.runner import run_repeatedly
    from safelight.bench.stats.metrics import compute_metrics
    from safelight.cli.bench.display import print_metrics, print_note, shown_progress, warnings_about

    repeats = spec.settings.repeats
    with shown_progress(is_off=spec.settings.disable_tqdm, title=spec.settings.dataset, repeats=repeats) as on_progress:
        work = run_repeatedly(
            lambda turn: spec.config_for(turn=turn),
            repeats=repeats,
            stop=stop,
            on_progress=on_progress,
            notify=print_note,
        )
        runs = run_in_loop(work)
    metrics = spec.facts | compute_metrics(*runs)
    if as_json:
        print(json.dumps(metrics))
    else:
        print_metrics(metrics, title=f"{spec.config.endpoint.name} at {spec.config.server.public_url}")
    for sentence in warnings_about(metrics):
        print_note(sentence)
    if not outputs.write(metrics, runs, spec=spec, notify=print_note):
        return FAILURE
    if metrics["partial"]:
        return INTERRUPTED
    unmet = [each for each in requirements if not each.holds(metrics)]
    for each in unmet:
        print_note(f"not fulfilled: {each.text} ({each.metric} is {metrics.get(each.metric, 'not told')})")
    if unmet:
        return UNMET
    return 0 if metrics["completed_requests"] else FAILURE


def run_in_loop(work: Coroutine[Any, Any, Given]) -> Given:
    """Run a coroutine in an event loop, uvloop's if it is installed; raises KeyboardInterrupt if it was cancelled."""
    from safelight.bench.client.event_loop import allow_connections, loop_factory

    allow_connections()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


SweepOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write a page there; JSON or a figure if it ends in .json, .png, .pdf or .svg.",
    ),
]
Attainment = Annotated[
    float, typer.Option(min=0.0, max=1.0, metavar="X", help="Share of requests that must meet their deadlines.")
]


@bench.command(
    cls=LoadCommand,
    epilog="Example:\n\nsafelight bench sweep --base-url http://127.0.0.1:8000 --task t2i --dataset shapes "
    "--slo-ms 2000 --rates 0.5,1,2,4 -o sweep.html",
)
@with_load_flags
def sweep(
    settings: LoadSettings,
    *,
    rates: Annotated[str | None, typer.Option(metavar="X,Y", help="Requests per second, one run each.")] = None,
    concurrencies: Annotated[str | None, typer.Option(metavar="N,M", help="Requests in flight, one run each.")] = None,
    attainment: Attainment = 0.99,
    output: SweepOutput = None,
) -> int:
    """Run the same load at several rates, or with several requests in flight."""
    from safelight.bench.load.spec import load_spec_of
    from safelight.bench.load.sweep import fixed_levels
    from safelight.cli.bench.display import print_note
    from safelight.cli.bench.interruption import interruption
    from safelight.cli.bench.sweeps import (
        CONCURRENCY,
        RATE,
        concurrencies_of,
        rates_of,
        run_with_progress,
        show_result,
        sweep_config_of,
    )

    if (rates is None) == (concurrencies is None):
        raise Misuse("A sweep is over --rates or over --concurrencies; give one of them.")
    if rates is not None:
        level, values = RATE, rates_of(rates, option="--rates")
    else:
        level, values = CONCURRENCY, concurrencies_of(concurrencies or "", option="--concurrencies")
    if settings.save_dir is not None and len({*values}) < len(values):
        raise Misuse("--save-dir keeps pictures by their level, and a level stands twice; use --repeats in its place.")
    check_output_files([output] if output else [], inputs=settings.input_files)
    with _as_misuse():
        spec = load_spec_of(settings, notify=print_note)
        config = sweep_config_of(spec, level=level, target=attainment)
        with interruption() as stop:
            result = run_in_loop(
                run_with_progress(config, fixed_levels(values), stop=stop, is_off=settings.disable_tqdm)
            )
            return show_result(result, output, spec=spec)


@bench.command(
    cls=LoadCommand,
    epilog="Example:\n\nsafelight bench capacity --base-url http://127.0.0.1:8000 --task t2i --dataset shapes "
    "--slo-ms 2000 --num-prompts 200 --attainment 0.99",
)
@with_load_flags
def capacity(
    settings: LoadSettings,
    *,
    attainment: Attainment = 0.99,
    start_rate: Annotated[float, typer.Option(metavar="X", help="Where the search begins.")] = 1.0,
    precision: Annotated[
        float, typer.Option(min=0.01, max=1.0, metavar="X", help="How near to come, as a share of the rate.")
    ] = 0.1,
    output: SweepOutput = None,
) -> int:
    """Search the highest rate at which enough requests meet their deadlines."""
    from safelight.bench.load.spec import load_spec_of
    from safelight.bench.stats.levels import CapacitySearch
    from safelight.cli.bench.display import print_note
    from safelight.cli.bench.interruption import interruption
    from safelight.cli.bench.sweeps import RATE, rates_of, run_with_progress, show_result, sweep_config_of

    rates_of(str(start_rate), option="--start-rate")
    check_output_files([output] if output else [], inputs=settings.input_files)
    with _as_misuse():
        spec = load_spec_of(settings, notify=print_note)
        if not settings.slo and any(request.deadline_s is None for request in spec.config.requests):
            raise Misuse("Some requests have no deadline to meet; give one with --slo-ms, or estimate it with --slo.")
        config = sweep_config_of(spec, level=RATE, target=attainment, until_sure=True)
        search = CapacitySearch(target=attainment, start=start_rate, precision=precision)
        with interruption() as stop:
            result = run_in_loop(run_with_progress(config, search, stop=stop, is_off=settings.disable_tqdm))
            return show_result(result, output, spec=spec)


@bench.command("compare", epilog="Example:\n\nsafelight bench compare before.json after.json")
def compare_runs(
    a: Annotated[Path, typer.Argument(metavar="A", help="Figures of a run, of --output-file.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Figures of another.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Report whether B is faster than A, and how sure that is."""
    from safelight.cli.bench.comparison import print_comparison

    print_comparison(a, b, as_json=as_json)


@bench.command(
    "null-server",
    epilog="Examples:\n\nsafelight bench null-server\n\n"
    "safelight bench null-server --workers 2 --step-s 0.01 --queue 20",
)
def null_server(
    *,
    host: Annotated[str, typer.Option(metavar="NAME", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0 takes a free one.")] = 8091,
    fixed_s: Annotated[float, typer.Option(min=0.0, metavar="S", help="Seconds of every picture.")] = 0.0,
    step_s: Annotated[float, typer.Option(min=0.0, metavar="S", help="Seconds of each step.")] = 0.0,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Pictures painted at once; else any number.")
    ] = None,
    queue: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Pictures that may wait; more are turned away with 429.")
    ] = None,
) -> None:
    """Serve small pictures at once, or as a queue before some machines would: to try the client."""
    from safelight.bench.client.event_loop import loop_factory
    from safelight.bench.null_server import NullSettings, serve_null

    settings = NullSettings(fixed_s=fixed_s, step_s=step_s, workers=workers, queue=queue)

    async def main() -> None:
        until = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, until.set)
        await serve_null(settings, host=host, port=port, on_ready=_say_ready, until=until)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())


def _say_ready(url: str) -> None:
    print(url, flush=True)
