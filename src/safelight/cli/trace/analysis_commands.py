"""Commands of `safelight trace` about arrivals, shared adapters and routing; and its report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.cli.console import progress_bar
from safelight.cli.errors import Misuse
from safelight.cli.number_lists import BadNumberList, NumberList
from safelight.cli.options import AsJson
from safelight.cli.output_files import check_output_files
from safelight.cli.trace.results import Csv, FigureFile, show
from safelight.cli.trace.trace_files import Lenient, Service, TraceFile, opened
from safelight.core.errors import nearest, shorten

if TYPE_CHECKING:
    from safelight.reports.result import Result
    from safelight.traces.analyses.by_service import Question

questions = typer.Typer()

MOST_INSTANCES = 100_000
INSTANCES = NumberList(low=1, high=MOST_INSTANCES, is_whole=True)

ABOUT = {
    "arrivals": "Report how many requests arrive over time, and by hour of the day.",
    "burstiness": "Report how bursty arrivals are: their index of dispersion over windows of many lengths.",
    "gaps": "Fit distributions to the times between arrivals, and report how well each fits.",
    "cooccurrence": "Report which adapters are asked for together, and how much more often than by chance.",
    "reuse": "Report how long it takes until an adapter is used again, on any instance and on the same.",
}
"""Analyses that need only a trace, with their help texts."""


def _add(name: str, about: str) -> None:
    """Add the command of one analysis."""

    @questions.command(
        name,
        help=about,
        epilog=f"Examples:\n\nsafelight trace {name} trace.json\n\n"
        f"safelight trace {name} trace.json --service A --csv {name}.csv --figure {name}.pdf",
    )
    def command(
        trace_file: TraceFile,
        *,
        service: Service = None,
        as_json: AsJson = False,
        csv: Csv = None,
        figure: FigureFile = None,
        lenient: Lenient = False,
    ) -> None:
        from safelight.traces.analyses.questions import QUESTIONS

        result = _answered(trace_file, QUESTIONS[name], service, lenient=lenient)
        show(result, as_json=as_json, csv=csv, figure=figure)


for _name, _about in ABOUT.items():
    _add(_name, _about)


@questions.command(
    "working-set",
    epilog="Examples:\n\nsafelight trace working-set trace.json\n\n"
    "safelight trace working-set trace.json --window hour --csv hours.csv",
)
def working_set(
    trace_file: TraceFile,
    *,
    service: Service = None,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="LENGTH", help="second, minute, hour, day or week; else one that suits."),
    ] = None,
    as_json: AsJson = False,
    csv: Csv = None,
    figure: FigureFile = None,
    lenient: Lenient = False,
) -> None:
    """Report how many adapters are in use at a time, and how many of them are new."""
    from safelight.traces.analyses.windows import LENGTHS
    from safelight.traces.analyses.working_set import working_set as ask

    if window is not None and window not in LENGTHS:
        raise Misuse(f"--window is {shorten(window)}; {nearest(window, list(LENGTHS))}")
    result = _answered(trace_file, lambda frame: ask(frame, window=window), service, lenient=lenient)
    show(result, as_json=as_json, csv=csv, figure=figure)


@questions.command(
    epilog="Examples:\n\nsafelight trace routing trace.json --service A\n\n"
    "safelight trace routing trace.json --instances 100,50,25 --size 4 --lora-load-s 0.5 --figure routing.pdf"
)
def routing(
    trace_file: TraceFile,
    *,
    service: Service = None,
    instances: Annotated[
        str | None,
        typer.Option("--instances", metavar="COUNTS", help="Such as 40,20; else those recorded, and halves."),
    ] = None,
    size: Annotated[int, typer.Option("--size", min=1, metavar="N", help="Adapters of a kind that fit.")] = 10,
    bound: Annotated[
        float, typer.Option("--bound", min=1, metavar="FACTOR", help="How far affinity lets a load exceed the mean.")
    ] = 1.25,
    work_s: Annotated[
        float, typer.Option("--work-s", min=0, metavar="SECONDS", help="Of a request without a duration.")
    ] = 5.0,
    lora_load_s: Annotated[
        float | None, typer.Option("--lora-load-s", min=0, metavar="SECONDS", help="To load a LoRA.")
    ] = None,
    controlnet_load_s: Annotated[
        float | None, typer.Option("--controlnet-load-s", min=0, metavar="SECONDS", help="To load a ControlNet.")
    ] = None,
    as_json: AsJson = False,
    csv: Csv = None,
    figure: FigureFile = None,
    lenient: Lenient = False,
) -> None:
    """Simulate the same requests with other routing, and with fewer instances."""
    from safelight.simulator.trace_routing.analysis import routing as ask
    from safelight.simulator.trace_routing.what_if import FAR_S, WhatIf

    what_if = WhatIf(
        instances=_counts(instances) if instances else (),
        size=size,
        bound=bound,
        work_s=work_s,
        load_s={
            "loras": FAR_S["loras"] if lora_load_s is None else lora_load_s,
            "controlnets": FAR_S["controlnets"] if controlnet_load_s is None else controlnet_load_s,
        },
    )
    result = _answered(trace_file, lambda frame: ask(frame, what_if), service, lenient=lenient)
    show(result, as_json=as_json, csv=csv, figure=figure)


@questions.command(
    epilog="Examples:\n\nsafelight trace report trace.json -o report.html\n\n"
    "safelight trace report trace.parquet --service A -o a.html"
)
def report(
    trace_file: TraceFile,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The page to write.", show_default=False)
    ],
    service: Service = None,
    lenient: Lenient = False,
) -> None:
    """Ask everything, and write the answers as one page of HTML that loads nothing from anywhere."""
    from safelight.simulator.trace_routing.report_section import WITH_ROUTING
    from safelight.traces.errors import NoSuchService
    from safelight.traces.report.report import write_report

    check_output_files([output], inputs=[trace_file])
    trace = opened(trace_file, lenient=lenient)
    try:
        with progress_bar("asking") as note:
            write_report(trace, output, service=service, contents=WITH_ROUTING, on_answer=note)
    except NoSuchService as error:
        raise Misuse(str(error)) from None
    print(output)


def _answered(path: Path, ask: "Question", service: str | None, *, lenient: bool) -> "Result":
    """Run an analysis for one service, or for each."""
    from safelight.traces.analyses.by_service import by_service
    from safelight.traces.errors import NoSuchService, as_bad_trace

    trace = opened(path, lenient=lenient)
    with as_bad_trace(path):
        try:
            frame = trace.frame if service is None else trace.of_service(service)
        except NoSuchService as error:
            raise Misuse(str(error)) from None
        return by_service(frame, ask)


def _counts(text: str) -> list[int]:
    """Parse numbers of instances such as 40,20,10; raises Misuse."""
    try:
        return sorted({int(number) for number in INSTANCES.parse(text)}, reverse=True)
    except BadNumberList:
        raise Misuse(
            f"--instances is {shorten(text)}; give numbers from 1 to {MOST_INSTANCES:,}, such as 40,20,10."
        ) from None
