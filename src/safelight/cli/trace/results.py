"""Outputs of every trace analysis: a table and findings as text, JSON, CSV, and a plot."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safelight.cli.errors import Misuse
from safelight.cli.output_files import check_output_files

if TYPE_CHECKING:
    import polars as pl

    from safelight.reports.result import Result

ROWS_SHOWN = 20
"""Of a longer table, text shows the first rows only; JSON and CSV have them all."""


MANY = 1000
"""Fractions from here on are rounded to whole numbers."""

WIDEST = 16


def _is_writable(ctx: typer.Context, path: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before any work is done for it."""
    if path is not None:
        try:
            check_output_files([path], inputs=_other_files(ctx))
        except Misuse as error:
            reason = str(error)
            raise typer.BadParameter(reason[0].lower() + reason[1:]) from None
    return path


def _other_files(ctx: typer.Context) -> list[Path]:
    """Return the trace, and what other options write."""
    found = (ctx.params.get(name) for name in ("trace_file", "csv", "figure"))
    return [path for path in found if path is not None]


def _is_figure(ctx: typer.Context, path: Path | None) -> Path | None:
    if path is not None:
        from safelight.reports.figure_files import format_of

        try:
            format_of(path)
        except ValueError as error:
            raise typer.BadParameter(f"{error}.") from None
    return _is_writable(ctx, path)


Csv = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", callback=_is_writable, help="Write the whole table to this file as CSV."),
]
FigureFile = Annotated[
    Path | None,
    typer.Option(
        "--figure", metavar="FILE", callback=_is_figure, help="Draw to this file; it ends in .pdf, .png or .svg."
    ),
]


def show(result: "Result", *, as_json: bool, csv: Path | None, figure: Path | None) -> None:
    """Print a result, and write the files that were asked for; raises CannotWrite."""
    write_files(result, csv=csv, figure=figure)
    if as_json:
        print(json.dumps(rows_of(result.table), ensure_ascii=False, allow_nan=False))
    else:
        _print(result)


def write_files(result: "Result", *, csv: Path | None, figure: Path | None) -> None:
    """Write a result's table and its figure; raises CannotWrite."""
    if csv is not None:
        from safelight.reports.atomic_files import write_atomically

        write_atomically(csv, result.table.write_csv)
    if figure is not None:
        from safelight.reports.figure_files import write_figure

        write_figure(result, figure)


def rows_of(table: "pl.DataFrame") -> list[dict[str, object]]:
    """Return a table's rows for JSON, with None for numbers that are not finite."""
    return [{name: _finite(value) for name, value in row.items()} for row in table.iter_rows(named=True)]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(result: "Result") -> None:
    """Print a result; columns in which all rows agree are printed once, above the table."""
    console = Console(highlight=False, soft_wrap=True)
    table = result.table
    common = [name for name in table.columns if len(table) > 1 and table[name].n_unique() == 1]
    cells = table.drop(common).head(ROWS_SHOWN)
    console.print(f"[bold]{escape(result.title)}[/bold]")
    if common:
        console.print(", ".join(f"{_heading(name)} {_cell(table[name][0])}" for name in common))
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    widths = [_width(column) for column in cells]
    for (name, dtype), width in zip(cells.schema.items(), widths, strict=True):
        justify: Literal["right", "left"] = "right" if dtype.is_numeric() else "left"
        shown.add_column(_heading(name), justify=justify, overflow="fold", min_width=width)
    for row in cells.iter_rows():
        shown.add_row(*map(_cell, row))
    Console(highlight=False, width=max(console.width, sum(widths) + 3 * len(widths))).print(shown)
    if (more := len(table) - ROWS_SHOWN) > 0:
        console.print(f"and {more:,} rows more, which --json and --csv have")
    for finding in ("", *result.findings):
        console.print(escape(finding))


def _width(column: "pl.Series") -> int:
    """Return the width of a column for its numbers and the words of its heading; longer names are wrapped."""
    return min(WIDEST, max(map(len, [*_heading(column.name).split(), *map(_cell, column)])))


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < MANY else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else escape(str(value))
