"""Workloads as tables of times or of counts: meant for AccuScale's (Argus: Agarwal et al., Middleware 2025).

The published files, one with normal and one with bursty load, are too large for the copies of their repository that
were at hand when this was written; its notebooks call the requests of an interval `frequency`. So columns are found by
their names, in any case:

| column | names |
| --- | --- |
| seconds of a request, or of the start of an interval | `SECONDS` |
| the same in minutes | `MINUTES` |
| seconds since the request before | `GAPS` |
| requests of an interval | `COUNTS` |
| requests per minute, in an interval | `PER_MINUTE` |
| prompt | `PROMPTS` |

With a column of counts, each line is an interval, which ends where the next one begins; without times, intervals are
minutes. Requests are spread over their interval at random, as those of a Poisson process are, always in the same way.
At least half of the columns must be known; the others are left out, with a note.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from safelight.core.errors import shorten
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.delimited import Column, blocks, headed, number, text, typed
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.source import Source

MINUTE_S = 60.0
SEED = 0

SECONDS = ("time", "timestamp", "arrival", "arrival_time", "exp_time", "normal_time", "second", "seconds")
MINUTES = ("minute", "minutes", "min")
GAPS = ("gap", "gap_s", "interarrival", "inter_arrival_time")
COUNTS = ("frequency", "count", "counts", "requests", "num_requests", "invocations", "load")
PER_MINUTE = ("qpm", "rpm")
PROMPTS = ("prompt", "prompts", "query", "caption")


@dataclass(frozen=True, kw_only=True)
class _Fields:
    """Which fields of a table have what; None where it has no such field."""

    seconds: str | None
    minutes: str | None
    gaps: str | None
    counts: str | None
    per_minute: str | None
    prompts: str | None

    @classmethod
    def of(cls, header: Sequence[str]) -> "_Fields":
        by_name = {name.lower(): name for name in reversed(header)}
        kinds = (SECONDS, MINUTES, GAPS, COUNTS, PER_MINUTE, PROMPTS)
        found = [next((by_name[name] for name in names if name in by_name), None) for names in kinds]
        return cls(
            seconds=found[0], minutes=found[1], gaps=found[2], counts=found[3], per_minute=found[4], prompts=found[5]
        )

    @property
    def known(self) -> tuple[str, ...]:
        fields = (self.seconds, self.minutes, self.gaps, self.counts, self.per_minute, self.prompts)
        return tuple(name for name in fields if name is not None)

    @property
    def has_arrivals(self) -> bool:
        return any(name != self.prompts for name in self.known)


def _recognises(head: bytes) -> bool:
    header = headed(head)
    fields = _Fields.of(header)
    return fields.has_arrivals and 2 * len(fields.known) >= len(header)


def _read(source: Source, read_log: ReadLog) -> Iterator[pl.DataFrame]:
    header = headed(source.head)
    fields = _Fields.of(header)
    for name in header:
        if name not in fields.known:
            read_log.note(f"The field {shorten(name)} is not known and was left out.")
    columns: dict[str, Column] = {name: number(name) for name in fields.known if name != fields.prompts}
    if fields.prompts is not None:
        columns[fields.prompts] = text(fields.prompts)
    tables = [typed(block, columns, read_log) for block in blocks(source, header, read_log, has_header=True)]
    if not tables:
        return
    table = pl.concat(tables)
    starts_s = _starts_s(table, fields)
    if fields.counts is None and fields.per_minute is None:
        assert starts_s is not None
        yield _canonical(table, fields, np.arange(len(table)), starts_s)
        return
    read_log.note("Requests were spread at random over their intervals, since only counts are known.")
    yield _canonical(table, fields, *_spread(table, fields, starts_s))


def _starts_s(table: pl.DataFrame, fields: _Fields) -> np.ndarray | None:
    """Return the time of each line in seconds; None if the table has none."""
    if fields.seconds is not None:
        return table[fields.seconds].to_numpy()
    if fields.minutes is not None:
        return table[fields.minutes].to_numpy() * MINUTE_S
    return None if fields.gaps is None else np.cumsum(table[fields.gaps].to_numpy())


def _spread(table: pl.DataFrame, fields: _Fields, starts_s: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the line of each request, and when it arrives."""
    starts = MINUTE_S * np.arange(len(table)) if starts_s is None else starts_s
    lengths_s = np.full(len(starts), MINUTE_S)
    if len(starts) > 1:
        lengths_s = np.append(np.diff(starts), starts[-1] - starts[-2]).clip(min=0)
    if fields.counts is not None:
        counts = table[fields.counts].to_numpy()
    else:
        counts = table[fields.per_minute or ""].to_numpy() * lengths_s / MINUTE_S
    whole = np.rint(np.nan_to_num(counts)).clip(min=0).astype(np.int64)
    lines = np.repeat(np.arange(len(starts)), whole)
    within = np.random.default_rng(SEED).random(len(lines))
    arrivals_s = starts[lines] + within * lengths_s[lines]
    order = np.argsort(arrivals_s, kind="stable")
    return lines[order], arrivals_s[order]


def _canonical(table: pl.DataFrame, fields: _Fields, lines: np.ndarray, arrivals_s: np.ndarray) -> pl.DataFrame:
    columns = [table[PLACE].gather(lines), pl.Series("arrival_s", arrivals_s)]
    if fields.prompts is not None:
        columns.append(table[fields.prompts].gather(lines).alias("prompt"))
    return pl.DataFrame(columns).with_columns(origin=pl.lit("recorded"))


ACCUSCALE = Reader(
    name="accuscale",
    title="a table of times or counts, such as AccuScale's workloads",
    unit="line",
    recognises=_recognises,
    read=_read,
)
