"""Canonical traces as JSON lines: what the server's outcome log is made of."""

import re
from collections.abc import Iterator, Sequence

import msgspec
import polars as pl

from safelight.core.errors import nearest
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.row import Adapter, Row
from safelight.traces.schema import SCHEMA
from safelight.traces.source import Lines, Source
from safelight.traces.tally import Tally

_decoder = msgspec.json.Decoder(Row)
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _recognises(head: bytes) -> bool:
    """A line with an object of which at least one key is canonical; keys that are not are an error later."""
    line, *_ = head.lstrip().split(b"\n", 1)
    try:
        return not SCHEMA.keys().isdisjoint(_keys.decode(line))
    except msgspec.DecodeError:
        return any(f'"{name}":'.encode() in line.replace(b" ", b"") for name in SCHEMA) and line.startswith(b"{")


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
            kept.append((number, _decoder.decode(texts[number - lines.first])))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason, problem = complaint(error)
            tally.drop(reason, where=f"Line {number}", problem=problem)
    return [number for number, _ in kept], [row for _, row in kept]


def complaint(error: Exception) -> tuple[str, str]:
    """Return a few words to count by, and a sentence, about a request that cannot be decoded."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8", f"It is not UTF-8: {text}."
    if not isinstance(error, msgspec.ValidationError):
        return "broken JSON", f"{text}."
    if unknown := re.search(r"unknown field `(.*)`", text):
        return "unknown columns", f"{text}; {nearest(unknown[1], list(SCHEMA))}"
    return "wrong types", f"{text}."


def _frame(numbers: Sequence[int], rows: Sequence[Row]) -> pl.DataFrame:
    columns = [_column(name, dtype, [getattr(row, name) for row in rows]) for name, dtype in SCHEMA.items()]
    return pl.DataFrame([*columns, pl.Series(PLACE, numbers, pl.Int64)])


def _column(name: str, dtype: pl.DataType, values: list[object]) -> pl.Series:
    if isinstance(dtype, pl.List):
        values = [adapters and [_facts(adapter) for adapter in adapters] for adapters in values]  # type: ignore[attr-defined]
    return pl.Series(name, values, dtype)


def _facts(adapter: Adapter | None) -> dict[str, str | float | None]:
    return {"name": None, "scale": None} if adapter is None else {"name": adapter.name, "scale": adapter.scale}


JSONL = Reader(
    name="jsonl",
    title="canonical JSON lines, such as Safelight's outcome log",
    unit="line",
    is_ordered=False,
    recognises=_recognises,
    read=_read,
)
