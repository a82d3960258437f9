"""Opening a trace, whatever it is: the format is found by content, never by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from safelight.core.errors import shorten
from safelight.traces import parquet
from safelight.traces.arrival_sorter import ArrivalSorter
from safelight.traces.checks import Checks, check_arrivals
from safelight.traces.errors import BadTrace, NoSuchService, as_bad_trace
from safelight.traces.parquet import scan_parquet
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.accuscale import ACCUSCALE
from safelight.traces.readers.azure_functions_2019 import AZURE_FUNCTIONS_2019
from safelight.traces.readers.azure_functions_2021 import AZURE_FUNCTIONS_2021
from safelight.traces.readers.azure_llm import AZURE_LLM
from safelight.traces.readers.diffserve import DIFFSERVE
from safelight.traces.readers.gentd26 import GENTD26
from safelight.traces.readers.jsonl import JSONL
from safelight.traces.readers.katz import KATZ
from safelight.traces.readers.omni import OMNI
from safelight.traces.readers.reader import Reader
from safelight.traces.schema import empty
from safelight.traces.source import Source

READERS: tuple[Reader, ...] = (
    KATZ,
    JSONL,
    GENTD26,
    ACCUSCALE,
    DIFFSERVE,
    OMNI,
    AZURE_FUNCTIONS_2019,
    AZURE_FUNCTIONS_2021,
    AZURE_LLM,
)


MOST_TEXT_REQUESTS = 20_000_000
"""More than these are not kept in memory; Parquet may have any number."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A trace that was opened.

    Attributes:
        frame: the canonical table; Parquet is yet to be read, text has been.
        path: where it lies.
        source: what it comes from: a reader's name, or what was noted when it was written.
        dropped: how many requests were left out, by reason; empty unless it was opened leniently.
        notes: what else was done to make it canonical, in sentences.
    """

    frame: pl.LazyFrame
    path: Path
    source: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of_service(self, name: str) -> pl.LazyFrame:
        """Return the requests of one service.

        Raises:
            NoSuchService: if there are none.
        """
        known = self.services()
        if name not in known:
            raise NoSuchService(name, known)
        return self.frame.filter(pl.col("service") == name)

    def services(self) -> list[str]:
        """Return the names of all services, sorted."""
        with as_bad_trace(self.path):
            names = self.frame.select(pl.col("service").unique()).collect(engine="streaming")
        return sorted(names["service"].drop_nulls())


def open_trace(path: Path, *, lenient: bool = False, most: int = MOST_TEXT_REQUESTS) -> Trace:
    """Open a trace.

    Args:
        path: of Parquet, or of text in any format of `READERS`, which may be packed with gzip or zstd.
        lenient: leave out requests that cannot be read, and count them in `Trace.dropped`.
        most: requests that a text may have.

    Raises:
        TraceError: if it cannot be read, or if one of its requests cannot and `lenient` is not set.
    """
    read_log = ReadLog(path, is_lenient=lenient)
    if is_parquet(path):
        frame, source = scan_parquet(path)
        with as_bad_trace(path):
            frame = check_arrivals(frame, read_log)
    else:
        reader, blocks = read_text(path, read_log)
        table, rest = take(blocks, most)
        if rest is not None:
            raise BadTrace(
                f"{str(path)!r} has {most:,} requests or more, too many to read from text each time; "
                "make Parquet of it first: safelight trace convert IN OUT.parquet."
            )
        frame, source = in_order(table, read_log), reader.name
    return Trace(frame=frame, path=path, source=source, dropped=read_log.dropped, notes=read_log.notes)


def take(blocks: Iterator[pl.DataFrame], count: int) -> tuple[pl.DataFrame, Iterator[pl.DataFrame] | None]:
    """Return the requests of some blocks, at least `count` if there are, and the other blocks, or None at the end."""
    taken = [empty()]
    while sum(map(len, taken)) < count:
        block = next(blocks, None)
        if block is None:
            return pl.concat(taken), None
        taken.append(block)
    return pl.concat(taken), blocks


def in_order(table: pl.DataFrame, read_log: ReadLog) -> pl.LazyFrame:
    """Return requests in order of arrival."""
    sorter = ArrivalSorter()
    sorter.add(table["arrival_s"])
    return sorter.sort(table.lazy(), read_log).collect().lazy()


def read_text(path: Path, read_log: ReadLog) -> tuple[Reader, Iterator[pl.DataFrame]]:
    """Return the format of a text, and its requests in canonical blocks, in the order of the file."""
    source = Source(path)
    reader = _recognise(source)
    return reader, Checks(reader, read_log).checked(reader.read(source, read_log))


def is_parquet(path: Path) -> bool:
    """Return whether the file is Parquet."""
    try:
        with path.open("rb") as file:
            return file.read(len(parquet.MAGIC)) == parquet.MAGIC
    except OSError:
        return False


def _recognise(source: Source) -> Reader:
    for reader in READERS:
        if reader.recognises(source.head):
            return reader
    known = "; ".join(reader.title for reader in READERS)
    raise BadTrace(
        f"{str(source.path)!r} is in no format that is known: Parquet; {known}. It begins with {shorten(source.head)}."
    )
