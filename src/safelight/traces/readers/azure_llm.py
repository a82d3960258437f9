"""Azure's trace of LLM inference (Patel et al., ISCA 2024, and its second year): arrivals and numbers of tokens."""

from collections.abc import Iterator

import polars as pl

from safelight.traces.read_log import ReadLog
from safelight.traces.readers.delimited import blocks, date, has_most_of, header_of, typed
from safelight.traces.readers.reader import Reader
from safelight.traces.source import Source

FIELDS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def _recognises(head: bytes) -> bool:
    return has_most_of(head, FIELDS)


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    fields = header_of(source, needed=FIELDS[:1], optional=FIELDS[1:], read_log=read_log)
    read_log.note("Numbers of tokens were left out, and moments were taken to be in UTC.")
    for block in blocks(source, fields, read_log, has_header=True):
        yield typed(block, {"arrival_s": date(FIELDS[0])}, read_log).with_columns(pl.lit("recorded").alias("origin"))


AZURE_LLM = Reader(
    name="azure-llm",
    title="Azure's LLM inference trace",
    unit="line",
    recognises=_recognises,
    read=_read,
)
