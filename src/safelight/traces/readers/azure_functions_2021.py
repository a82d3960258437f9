"""Azure Functions 2021 (Zhang et al., SOSP 2021): one line for each invocation, in order of its end.

An application is read as a service, and a function as a base model: it is what has to be loaded before work can start.
"""

from collections.abc import Iterator

import polars as pl

from safelight.traces.read_log import ReadLog
from safelight.traces.readers.delimited import Column, blocks, has_most_of, header_of, number, text, typed
from safelight.traces.readers.reader import Reader
from safelight.traces.source import Source

FIELDS = ("app", "func", "end_timestamp", "duration")
COLUMNS = {
    "service": text("app"),
    "base_model": text("func"),
    "duration_s": number("duration"),
    "arrival_s": Column(
        field="end_timestamp",
        # Ends and durations are rounded each for itself, so a start at 0 may come out a little below.
        value=(number("end_timestamp").value - number("duration").value).round(6),
        wanted="a number of seconds",
    ),
}


def _recognises(head: bytes) -> bool:
    return has_most_of(head, FIELDS)


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    fields = header_of(source, needed=FIELDS, optional=(), read_log=read_log)
    for block in blocks(source, fields, read_log, has_header=True):
        yield typed(block, COLUMNS, read_log).with_columns(pl.lit("recorded").alias("origin"))


AZURE_FUNCTIONS_2021 = Reader(
    name="azure-functions-2021",
    title="Azure Functions 2021",
    unit="line",
    recognises=_recognises,
    read=_read,
)
