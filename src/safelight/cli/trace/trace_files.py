"""What every command about traces does with files: open them, and tell what could not be kept of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from safelight.cli.console import notes

if TYPE_CHECKING:
    from safelight.traces.reading import Trace

TraceFile = Annotated[
    Path,
    typer.Argument(metavar="TRACE", help="Parquet, or text in any known format, packed or not.", show_default=False),
]
Lenient = Annotated[
    bool, typer.Option("--lenient", help="Leave out requests that cannot be read, and tell how many they were.")
]
Service = Annotated[
    str | None, typer.Option("--service", metavar="NAME", help="Look at the requests of this service only.")
]


def opened(path: Path, *, lenient: bool) -> "Trace":
    """Open a trace, and tell on standard error what was done to it. Raises TraceError."""
    from safelight.traces.reading import open_trace

    trace = open_trace(path, lenient=lenient)
    tell(trace.dropped, trace.notes)
    return trace


def tell(dropped: Mapping[str, int], sentences: Sequence[str]) -> None:
    """Tell on standard error what was left out of a trace, and what else was done to it."""
    for sentence in sentences:
        notes.print(escape(sentence), soft_wrap=True)
    for reason, count in dropped.items():
        notes.print(f"[yellow]left out:[/yellow] {count:,}: {escape(reason)}", soft_wrap=True)
