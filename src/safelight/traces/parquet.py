"""Canonical traces as Parquet that any tool reads; metadata of the file has the schema's version and the source."""

import json
from pathlib import Path

import polars as pl

from safelight.core.errors import shorten
from safelight.reports.atomic_files import write_atomically
from safelight.traces.errors import BadTrace, as_bad_trace
from safelight.traces.schema import SCHEMA, conform

VERSION = 1
MAGIC = b"PAR1"
SUFFIXES = (".parquet", ".pq")

ROWS_AT_ONCE = 16_384
"""So many rows are held before they are written."""

_KEY = "safelight.trace"


def write_parquet(frame: pl.LazyFrame, path: Path, *, source: str) -> None:
    """Write a trace without holding all of it; the file is there when it is whole, or not at all.

    Args:
        frame: canonical, or such that `conform` makes it so.
        path: of a file that is made or replaced.
        source: what the requests come from, for people to read, such as "katz" or "synthesized like katz-a, seed 1".

    Raises:
        CannotWrite: if the disk is full, or the place does not allow it.
    """
    note = json.dumps({"version": VERSION, "source": source})

    def write(to: Path) -> None:
        # By its handle: given a path, a thread of polars may make the file again after polars has failed.
        with to.open("wb") as file:
            conform(frame).sink_parquet(file, row_group_size=ROWS_AT_ONCE, metadata={_KEY: note})

    write_atomically(path, write)


def scan_parquet(path: Path) -> tuple[pl.LazyFrame, str]:
    """Return a canonical trace, yet to be read, and its source.

    Parquet of other makers is taken too if its columns conform.

    Raises:
        BadTrace: if it is no Parquet, or of a later version.
        UnknownColumns, WrongColumnType: if its columns do not conform.
    """
    with as_bad_trace(path):
        note = pl.read_parquet_metadata(path).get(_KEY)
        frame = pl.scan_parquet(path)
        found = frame.collect_schema()
    if note is None:
        return conform(frame), "parquet"
    facts = json.loads(note)
    if facts["version"] > VERSION:
        raise BadTrace(
            f"{str(path)!r} is a trace of version {shorten(facts['version'])}; this Safelight reads up to {VERSION}."
        )
    return (frame if found == SCHEMA else conform(frame)), facts["source"]
