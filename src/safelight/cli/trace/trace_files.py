"""Opens traces for commands, and prints notes about what was left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from safelight.cli.console import notes
from safelight.cli.output_files import check_output_files

if TYPE_CHECKING:
    from safelight.traces.reading import Trace


def _is_kept(ctx: typer.Context, path: Path) -> Path:
    """Refuse output files that would overwrite the trace; options after it are checked when they are parsed."""
    outputs = (ctx.params.get(name) for name in ("csv", "figure"))
    check_output_files([output for output in outputs if output is not None], inputs=[path])
    return path


TraceFile = Annotated[
    Path,
    typer.Argument(
        metavar="TRACE",
        callback=_is_kept,
        help="Parquet, or text in any known format, packed or not.",
        show_default=False,
    ),
]
Lenient = Annotated[
    bool, typer.Option("--lenient", help="Leave out requests that cannot be read, and report their number.")
]
Service = Annotated[
    str | None, typer.Option("--service", metavar="NAME", help="Look at the requests of this service only.")
]


def opened(path: Path, *, lenient: bool) -> "Trace":
    """Open a trace, and print notes about it on standard error; raises TraceError."""
    from safelight.traces.reading import open_trace

    trace = open_trace(path, lenient=lenient)
    print_notes(trace.dropped, trace.notes)
    return trace


def print_notes(dropped: Mapping[str, int], sentences: Sequence[str]) -> None:
    """Print on standard error what was left out of a trace, and other notes."""
    for sentence in sentences:
        notes.print(escape(sentence), soft_wrap=True)
    for reason, count in dropped.items():
        notes.print(f"[yellow]left out:[/yellow] {count:,}: {escape(reason)}", soft_wrap=True)
