"""From one format to another, whatever the size."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from safelight.traces.read_log import ReadLog
from safelight.traces.reading import MOST_TEXT_REQUESTS, in_order, is_parquet, open_trace, read_text, take
from safelight.traces.schema import SCHEMA
from safelight.traces.writing import write_trace


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What became of a trace: how many requests were left out, by reason, and what else happened, in sentences."""

    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def convert(
    path: Path, target: Path, *, to_format: str, lenient: bool = False, most: int = MOST_TEXT_REQUESTS
) -> Conversion:
    """Read the trace at `path` and write it to `target`.

    A text of `most` requests or more passes by in pieces, and so in the order in which it stands; the others are put in
    order of arrival.

    Raises:
        TraceError: if the one cannot be read or the other not be written.
    """
    if is_parquet(path):
        trace = open_trace(path, lenient=lenient)
        lost = write_trace(trace.frame, target, to_format=to_format, source=trace.source)
        return Conversion(dropped=trace.dropped, notes=(*trace.notes, *lost))
    read_log = ReadLog(path, is_lenient=lenient)
    reader, blocks = read_text(path, read_log)
    table, rest = take(blocks, most)
    frame = in_order(table, read_log) if rest is None else passing(itertools.chain([table], rest))
    lost = write_trace(frame, target, to_format=to_format, source=reader.name)
    return Conversion(dropped=read_log.dropped, notes=(*read_log.notes, *lost))


def passing(blocks: Iterator[pl.DataFrame]) -> pl.LazyFrame:
    """Return a frame that can be collected once, block by block, of which each is canonical."""

    def give(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        for block in blocks:
            kept = block if predicate is None else block.filter(predicate)
            yield kept if columns is None else kept.select(columns)

    return register_io_source(give, schema=SCHEMA)
