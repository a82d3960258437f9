"""The numbers behind a figure, as far as a page holds them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

SHOWN_ROWS = 50
CSV_BYTES = 100_000
"""A page with some dozens of tables stays below 5 MB with so much of each."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's heading, and whether its cells are numbers."""

    name: str
    is_number: bool


@dataclass(frozen=True, kw_only=True)
class Data:
    """A table in a page.

    Attributes:
        columns: all of them.
        rows: the first ones, as they are shown.
        extent: how many rows there are, and how many of them are shown.
        csv: a data URL of the table, or of its first rows if it is long.
        file_name: to save that under.
        note: what `csv` holds, and what more there is.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    extent: str
    csv: str
    file_name: str
    note: str


def data_of(table: pl.DataFrame, *, file_name: str) -> Data:
    """Return what a page holds of a table."""
    total = len(table)
    text, kept = _csv(table)
    shown = table.head(SHOWN_ROWS)
    is_cut = total > SHOWN_ROWS
    return Data(
        columns=[
            Column(name=name.replace("_", " "), is_number=dtype.is_numeric()) for name, dtype in table.schema.items()
        ],
        rows=[[_cell(value) for value in row] for row in shown.iter_rows()],
        extent=f"{total:,} rows" + (f", the first {SHOWN_ROWS} shown" if is_cut else ""),
        csv=f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}",
        file_name=file_name,
        note="All rows; the same from" if kept == total else f"The first {kept:,} of {total:,} rows; all of them from",
    )


def _csv(table: pl.DataFrame) -> tuple[str, int]:
    """Return as many of the first rows as fit into `CSV_BYTES`, and how many they are."""
    text = table.head(CSV_BYTES).write_csv()
    if len(text) <= CSV_BYTES and len(table) <= CSV_BYTES:
        return text, len(table)
    kept = max(1, CSV_BYTES * min(len(table), CSV_BYTES) // len(text))
    return table.head(kept).write_csv(), kept


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
