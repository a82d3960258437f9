"""Canonical traces as JSON lines: what the server's outcome log is made of."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl

from safelight.traces.adapter_lists import adapter_lists
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.decode_errors import describe_decode_error
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.row import TraceRow
from safelight.traces.schema import ADAPTERS, SCHEMA
from safelight.traces.source import Lines, Source

_decoder = msgspec.json.Decoder(TraceRow)


def _recognises(head: bytes) -> bool:
    return head.lstrip().startswith(b"{")


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    for lines in source.lines():
        yield _frame(*_decoded(lines, read_log))


def _decoded(lines: Lines, read_log: ReadLog) -> tuple[Sequence[int], Sequence[TraceRow]]:
    """Return the numbers of the lines with a row, and the rows."""
    texts = lines.data.split(b"\n")
    numbers = [number for number, text in enumerate(texts, lines.first) if text.strip()]
    try:
        return numbers, _decoder.decode_lines(lines.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    kept: list[tuple[int, TraceRow]] = []
    for number in numbers:
        try:
            kept.append((number, _decoder.decode(texts[number - lines.first].decode())))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason, problem = describe_decode_error(error, TraceRow.__struct_fields__)
            read_log.drop(reason, where=f"line {number}", problem=problem)
    return [number for number, _ in kept], [row for _, row in kept]


def _frame(numbers: Sequence[int], rows: Sequence[TraceRow]) -> pl.DataFrame:
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
