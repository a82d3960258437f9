"""Canonical traces as JSON lines: what the server's outcome log is made of."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl

from safelight.traces.adapter_lists import adapter_lists
from safelight.traces.readers.complaint import complaint_of
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.row import Row
from safelight.traces.schema import ADAPTERS, SCHEMA
from safelight.traces.source import Lines, Source
from safelight.traces.tally import Tally

_decoder = msgspec.json.Decoder(Row)


def _recognises(head: bytes) -> bool:
    return head.lstrip().startswith(b"{")


def _read(source: Source, tally: Tally) -> Iterator[pl.DataFrame]:
    for lines in source.lines():
        yield _frame(*_decoded(lines, tally))


def _decoded(lines: Lines, tally: Tally) -> tuple[Sequence[int], Sequence[Row]]:
    """Return the numbers of the lines with a row, and the rows."""
    texts = lines.data.split(b"\n")
    numbers = [number for number, text in enumerate(texts, lines.first) if text.strip()]
    try:
        return numbers, _decoder.decode_lines(lines.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    kept: list[tuple[int, Row]] = []
    for number in numbers:
        try:
            kept.append((number, _decoder.decode(texts[number - lines.first].decode())))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason, problem = complaint_of(error, Row.__struct_fields__)
            tally.drop(reason, where=f"line {number}", problem=problem)
    return [number for number, _ in kept], [row for _, row in kept]


def _frame(numbers: Sequence[int], rows: Sequence[Row]) -> pl.DataFrame:
    columns = [_column(name, dtype, [getattr(row, name) for row in rows]) for name, dtype in SCHEMA.items()]
    return pl.DataFrame([*columns, pl.Series(PLACE, numbers, pl.Int64)])


def _column(name: str, dtype: pl.DataType, values: list[Any]) -> pl.Series:
    if dtype != ADAPTERS:
        return pl.Series(name, values, dtype)
    names = [adapters and [adapter and adapter.name for adapter in adapters] for adapters in values]
    scales = [adapters and [adapter and adapter.scale for adapter in adapters] for adapters in values]
    return adapter_lists(names, scales).alias(name)


JSONL = Reader(
    name="jsonl",
    title="canonical JSON lines, such as Safelight's outcome log",
    unit="line",
    recognises=_recognises,
    read=_read,
)
