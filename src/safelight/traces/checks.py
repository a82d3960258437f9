"""What must hold for the requests of any trace, whatever format they come in."""

from collections.abc import Iterable, Iterator

import polars as pl

from safelight.core.errors import shorten
from safelight.traces.arrival_sorter import ArrivalSorter
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.schema import NOT_NEGATIVE, conform

NOT_EMPTY = ("request_id", "service", "instance", "base_model", "asked_model")
"""Names that are null where they are not known."""

AT_LEAST_0 = "must be at least 0"


class Checks:
    """Looks at one trace, block by block, and leaves out requests that cannot be."""

    def __init__(self, reader: Reader, read_log: ReadLog) -> None:
        self._reader = reader
        self._read_log = read_log
        self._seen = set[str]()

    def checked(self, blocks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Give the blocks in canonical form; raises BadTrace unless the read_log is lenient."""
        for block in blocks:
            kept = block
            for name in NOT_NEGATIVE:
                number = pl.col(name).cast(pl.Float64)
                kept = self._keep(kept, name, (number >= 0) & number.is_finite(), AT_LEAST_0)
            for name in NOT_EMPTY:
                kept = self._keep(kept, name, pl.col(name) != "", "must not be empty")
            kept = self._without_repeats(kept)
            yield conform(kept.drop(PLACE).lazy()).collect()

    def _without_repeats(self, block: pl.DataFrame) -> pl.DataFrame:
        """Leave out requests whose id was there before; requests without ids may be alike."""
        if not _has(block, "request_id"):
            return block
        ids = block["request_id"]
        again = self._seen.intersection(ids.drop_nulls().to_list())
        self._seen.update(ids.drop_nulls().to_list())
        column = pl.col("request_id")
        is_new = column.is_first_distinct() & ~column.is_in(list(again)) | column.is_null()
        return self._keep(block, "request_id", is_new, "must be unique")

    def _keep(self, block: pl.DataFrame, name: str, rule: pl.Expr, words: str) -> pl.DataFrame:
        """Return the rows in which `rule` holds for a column or the column is null, and drop the others."""
        if not _has(block, name):
            return block
        is_kept = block.select(rule.fill_null(value=True)).to_series()
        if is_kept.all():
            return block
        bad = block.filter(~is_kept)
        problem = f"{name} is {shorten(bad[name][0])}, but it {words}."
        self._drop(f"{name} {words}", bad[PLACE][0], problem, count=len(bad))
        return block.filter(is_kept)

    def _drop(self, reason: str, place: int, problem: str, *, count: int = 1) -> None:
        where = f"{self._reader.unit} {place}"
        self._read_log.drop(reason, where=where, problem=problem, count=count)


def check_arrivals(frame: pl.LazyFrame, read_log: ReadLog) -> pl.LazyFrame:
    """Return a canonical frame, yet to be read, in order of arrival and without arrivals that cannot be."""
    rows = bad = 0
    sorter = ArrivalSorter()
    for batch in frame.select("arrival_s").collect_batches(maintain_order=True, engine="streaming"):
        arrivals = batch["arrival_s"]
        is_good = batch.select(_is_arrival()).to_series()
        if not is_good.all():
            place, value = rows + int((~is_good).arg_max() or 0) + 1, arrivals.filter(~is_good)[0]
            bad += (count := int((~is_good).sum()))
            problem = f"arrival_s is {value}, but it {AT_LEAST_0}."
            read_log.drop(f"arrival_s {AT_LEAST_0}", where=f"row {place}", problem=problem, count=count)
        sorter.add(arrivals.filter(is_good))
        rows += len(batch)
    return sorter.sort(frame.filter(_is_arrival()) if bad else frame, read_log)


def _is_arrival() -> pl.Expr:
    arrival_s = pl.col("arrival_s")
    return ((arrival_s >= 0) & arrival_s.is_finite()).fill_null(value=True)


def _has(block: pl.DataFrame, name: str) -> bool:
    """Say whether a column is there and known for any request."""
    return name in block.columns and block[name].null_count() < len(block)
