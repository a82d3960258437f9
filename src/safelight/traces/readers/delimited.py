"""Tables with commas: fields as text first, then each in its type, so that errors name lines."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from safelight.core.errors import nearest, shorten
from safelight.traces.errors import BadTrace
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.reader import PLACE
from safelight.traces.source import Source

UNKNOWN = ("", "NULL", "None", "nan")
"""How tables spell that a value is not known."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """How a canonical column comes from a field.

    Attributes:
        field: its name in the table.
        value: of the field's text; null where the text is wrong.
        wanted: what the text must be, in words.
    """

    field: str
    value: pl.Expr
    wanted: str


def text(field: str) -> Column:
    """Any text."""
    return Column(field=field, value=pl.col(field), wanted="text")


def number(field: str) -> Column:
    """A number."""
    return Column(field=field, value=pl.col(field).cast(pl.Float64, strict=False), wanted="a number")


def count(field: str) -> Column:
    """A whole number from 0 on, even if it is written like 30.0."""
    value = pl.col(field).cast(pl.Float64, strict=False)
    whole = pl.when((value == value.round()) & (value >= 0)).then(value).cast(pl.Int32, strict=False)
    return Column(field=field, value=whole, wanted="a whole number from 0 on")


def date(field: str) -> Column:
    """A date and time as Unix time; it is taken to be in UTC, for want of anything better."""
    bare = pl.col(field).str.strip_suffix("+00:00").str.strip_suffix("Z").str.replace("T", " ", literal=True)
    moment = bare.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False)
    value = moment.dt.epoch("s") + moment.dt.nanosecond() / 1e9
    return Column(field=field, value=value, wanted="a date and time such as 2024-11-15 16:57:50")


def headed(head: bytes) -> list[str]:
    """Return the fields of a text's first line."""
    line = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    return [name.strip().strip('"') for name in line.split(",")]


def has_most_of(head: bytes, fields: Sequence[str]) -> bool:
    """Say whether a text's first line names most of the fields of a format."""
    return len(set(headed(head)).intersection(fields)) * 2 > len(fields)


def header_of(source: Source, *, needed: Sequence[str], optional: Sequence[str], read_log: ReadLog) -> list[str]:
    """Return the fields of a table's first line; raises BadTrace if they are not those of the format."""
    found = headed(source.head)
    where = f"{str(source.path)!r}, line 1"
    if missing := [name for name in needed if name not in found]:
        raise BadTrace(f"{where}: The field {missing[0]!r} is missing; {nearest(missing[0], found)}")
    known = [*needed, *optional]
    for name in found:
        if name not in known and not read_log.is_lenient:
            raise BadTrace(f"{where}: No field is named {shorten(name)}; {nearest(name, known)}")
        if name not in known:
            read_log.note(f"The field {shorten(name)} is not known and was left out.")
    return found


def blocks(source: Source, fields: Sequence[str], read_log: ReadLog, *, has_header: bool) -> Iterator[pl.DataFrame]:
    """Give a table's lines as text, a column for each field, and `PLACE`."""
    for lines in source.lines():
        data, first = lines.data, lines.first
        if has_header and first == 1:
            data, first = data.partition(b"\n")[2], 2
        numbers = [number for number, line in enumerate(data.split(b"\n"), first) if line.strip()]
        block = _at_once(data, fields, numbers)
        yield _line_by_line(data, fields, first, read_log) if block is None else block


def _at_once(data: bytes, fields: Sequence[str], numbers: Sequence[int]) -> pl.DataFrame | None:
    """Return a block in which every line has all fields and no quotes, else None."""
    if b'"' in data or not numbers or data.count(b",") != len(numbers) * (len(fields) - 1):
        return None
    try:
        block = pl.read_csv(
            data, has_header=False, new_columns=fields, infer_schema=False, null_values=UNKNOWN, quote_char=None
        )
    except pl.exceptions.PolarsError:
        return None
    return block.with_columns(pl.Series(PLACE, numbers, pl.Int64)) if len(block) == len(numbers) else None


def _line_by_line(data: bytes, fields: Sequence[str], first: int, read_log: ReadLog) -> pl.DataFrame:
    rows: list[list[str | int | None]] = []
    for place, line in enumerate(data.split(b"\n"), first):
        where = f"line {place}"
        try:
            row = next(csv.reader([line.decode()], strict=True), [])
        except UnicodeDecodeError:
            read_log.drop("not UTF-8", where=where, problem="It is not UTF-8.")
        except csv.Error as error:
            read_log.drop("broken quotes", where=where, problem=f"Its quotes are broken: {error}.")
        else:
            if len(row) == len(fields):
                rows.append([*(None if value in UNKNOWN else value for value in row), place])
            elif line.strip():
                rule = f"must have {len(fields)} fields"
                read_log.drop(rule, where=where, problem=f"It has {len(row)} fields, but it {rule}.")
    schema = {**dict.fromkeys(fields, pl.String), PLACE: pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def typed(block: pl.DataFrame, columns: Mapping[str, Column], read_log: ReadLog) -> pl.DataFrame:
    """Return canonical columns and `PLACE`, without lines that have a wrong field."""
    values = block.select(PLACE, **{name: column.value for name, column in columns.items()})
    is_right = pl.Series([True]).new_from_index(0, len(block))
    for name, column in columns.items():
        is_wrong = values[name].is_null() & block[column.field].is_not_null() & is_right
        if is_wrong.any():
            bad = block.filter(is_wrong)
            problem = f"{column.field} is {shorten(bad[column.field][0])}, but it must be {column.wanted}."
            where = f"line {bad[PLACE][0]}"
            read_log.drop(f"{column.field} must be {column.wanted}", where=where, problem=problem, count=len(bad))
            is_right &= ~is_wrong
    return values.filter(is_right)
