"""Azure Functions 2019 (Shahrad et al., USENIX ATC 2020): a day in which each function has a count for each minute.

An application is read as a service, and a function as a base model: it is what has to be loaded before work can start.
When in its minute a request came is not known. All requests of a minute are spread evenly over it, and those of one
function evenly among them.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from safelight.traces.read_log import ReadLog
from safelight.traces.readers.delimited import Column, blocks, has_most_of, headed, header_of, typed
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.source import Source

WORDS = ("HashOwner", "HashApp", "HashFunction", "Trigger")
MINUTE_S = 60.0
MINUTES = tuple(str(minute) for minute in range(1, 24 * 60 + 1))


def _recognises(head: bytes) -> bool:
    return has_most_of(head, (*WORDS, *MINUTES)) or set(WORDS) <= set(headed(head))


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    fields = header_of(source, needed=WORDS, optional=MINUTES, read_log=read_log)
    read_log.note("Requests were spread evenly over their minutes, since only counts are known.")
    minutes = [field for field in fields if field in MINUTES]
    counts = {minute: _count(minute) for minute in minutes}
    words = {word: Column(field=word, value=pl.col(word), wanted="text") for word in WORDS}
    tables = [
        typed(block, {**words, **counts}, read_log) for block in blocks(source, fields, read_log, has_header=True)
    ]
    table = pl.concat(tables)
    functions = table.select(PLACE, service="HashApp", tenant="HashOwner", base_model="HashFunction", task="Trigger")
    for minute in minutes:
        owners, arrivals_s = _spread(table[minute].to_numpy(), (int(minute) - 1) * MINUTE_S)
        if len(owners):
            yield functions[owners].with_columns(pl.Series("arrival_s", arrivals_s), origin=pl.lit("recorded"))


def _count(minute: str) -> Column:
    value = pl.col(minute).fill_null("0").cast(pl.UInt32, strict=False)
    return Column(field=minute, value=value, wanted="a count")


def _spread(counts: np.ndarray, start_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return whose each request of a minute is, as a place in `counts`, and when it arrives."""
    owners = np.repeat(np.arange(len(counts)), counts)
    turns = np.arange(len(owners)) - np.repeat(np.cumsum(counts, dtype=np.int64) - counts, counts)
    order = np.argsort((turns + 0.5) / np.repeat(counts, counts), kind="stable")
    return owners[order], start_s + MINUTE_S * (np.arange(len(owners)) + 0.5) / max(1, len(owners))


AZURE_FUNCTIONS_2019 = Reader(
    name="azure-functions-2019",
    title="Azure Functions 2019, counts by minute",
    unit="line",
    recognises=_recognises,
    read=_read,
)
