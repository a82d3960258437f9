"""Arrivals as DiffServe (Ahmad et al., MLSys 2025) has them: lines of `milliseconds,number of a prompt`."""

import re
from collections.abc import Iterator

import polars as pl

from safelight.traces.read_log import ReadLog
from safelight.traces.readers.delimited import Column, blocks, number, typed
from safelight.traces.readers.reader import Reader
from safelight.traces.source import Source

MS = 1000

COLUMNS = {
    "arrival_s": number("ms"),
    "prompt_id": Column(
        field="prompt", value=pl.col("prompt").str.strip_chars().str.extract(r"^(\d+)$"), wanted="a prompt's number"
    ),
}

_LINE = re.compile(rb"\s*-?[\d.]+(e[+-]?\d+)?\s*,\s*\d+\s*\n?")


def _recognises(head: bytes) -> bool:
    return any(_LINE.fullmatch(line) for line in head.splitlines()[:3])


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    for block in blocks(source, ("ms", "prompt"), read_log, has_header=False):
        table = typed(block, COLUMNS, read_log)
        # Divided by numpy, since polars multiplies by the inverse, which is off by a little.
        arrivals_s = pl.Series("arrival_s", table["arrival_s"].to_numpy() / MS)
        yield table.with_columns(arrivals_s, origin=pl.lit("recorded"))


DIFFSERVE = Reader(
    name="diffserve",
    title="DiffServe's lines of milliseconds,prompt",
    unit="line",
    recognises=_recognises,
    read=_read,
)
