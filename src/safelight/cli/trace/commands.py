"""`safelight trace`: read, convert and understand traces of requests."""

from pathlib import Path
from typing import Annotated

import typer

from safelight.cli.errors import Misuse
from safelight.cli.options import AsJson
from safelight.cli.trace.adapter_commands import adapter_questions
from safelight.cli.trace.analysis_commands import questions
from safelight.cli.trace.synthesis import EXAMPLES, synthesize
from safelight.cli.trace.trace_files import Lenient, Service, TraceFile, opened, print_notes

trace = typer.Typer(help="Read, convert and understand traces of requests.", no_args_is_help=True)
trace.add_typer(adapter_questions)
trace.add_typer(questions)
trace.command(epilog=EXAMPLES)(synthesize)


@trace.command(
    epilog="Examples:\n\nsafelight trace convert requests.csv requests.parquet\n\n"
    "safelight trace convert outcomes.jsonl trace.json.gz --lenient\n\n"
    "safelight trace convert requests.parquet arrivals.txt --format diffserve"
)
def convert(
    trace_file: Annotated[Path, typer.Argument(metavar="IN", help="The trace to read.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.", show_default=False)],
    *,
    to_format: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="parquet, jsonl, katz, diffserve or omni.")
    ] = None,
    lenient: Lenient = False,
) -> None:
    """Write a trace in another format, by default the one that OUT's name ends in."""
    from safelight.traces.converting import convert as convert_trace
    from safelight.traces.errors import UnknownFormat
    from safelight.traces.writing import format_of

    try:
        chosen = format_of(target, to_format)
    except UnknownFormat as error:
        raise Misuse(str(error)) from None
    done = convert_trace(trace_file, target, to_format=chosen, lenient=lenient)
    print_notes(done.dropped, done.notes)


@trace.command(
    epilog="Examples:\n\nsafelight trace describe requests.parquet\n\n"
    "safelight trace describe trace.json --service A --json"
)
def describe(
    trace_file: TraceFile, *, service: Service = None, as_json: AsJson = False, lenient: Lenient = False
) -> None:
    """Describe a trace: how many requests, of what, from when to when, and how they ended."""
    import msgspec

    from safelight.cli.trace.description import print_description
    from safelight.traces.describing import describe as describe_trace
    from safelight.traces.errors import NoSuchService

    try:
        description = describe_trace(opened(trace_file, lenient=lenient), service=service)
    except NoSuchService as error:
        raise Misuse(str(error)) from None
    if as_json:
        print(msgspec.json.encode(description).decode())
        return
    print_description(description)
