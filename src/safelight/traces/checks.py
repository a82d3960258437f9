"""What must hold for the requests of any trace, whatever format they come in."""

from collections.abc import Iterable, Iterator

import polars as pl

from safelight.core.errors import shorten
from safelight.traces.readers.reader import PLACE, Reader
from safelight.traces.schema import NOT_NEGATIVE, conform
from safelight.traces.tally import Tally

NOT_EMPTY = ("request_id", "service", "instance", "base_model")
"""Names that are null where they are not known."""


class Checks:
    """Looks at one trace, block by block, and leaves out requests that cannot be."""

    def __init__(self, reader: Reader, tally: Tally) -> None:
        self._reader = reader
        self._tally = tally
        self._seen = set[str]()
        self._latest_s = float("-inf")

    def checked(self, blocks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Give the blocks in canonical form; raises BadTrace unless the tally is lenient."""
        for block in blocks:
            kept = block
            for name in NOT_NEGATIVE:
                number = pl.col(name).cast(pl.Float64)
                kept = self._keep(kept, name, (number >= 0) & number.is_finite(), "must be at least 0")
            for name in NOT_EMPTY:
                kept = self._keep(kept, name, pl.col(name) != "", "must not be empty")
            kept = self._without_repeats(kept)
            self._check_order(kept)
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

    def _check_order(self, block: pl.DataFrame) -> None:
        """Raise BadTrace at a request below a later one, where the format promises order; the lenient get it sorted."""
        if not self._reader.is_ordered or self._tally.is_lenient or not _has(block, "arrival_s"):
            return
        arrivals = block.select(PLACE, "arrival_s").drop_nulls()
        before = pl.col("arrival_s").cum_max().shift(1).clip(self._latest_s).fill_null(self._latest_s)
        late = arrivals.with_columns(before=before).filter(pl.col("arrival_s") < pl.col("before"))
        if not late.is_empty():
            place, arrival_s, before_s = late.row(0)
            self._drop("out of order", place, f"It arrives at {arrival_s} s, after one that arrives at {before_s} s.")
        self._latest_s = max([self._latest_s, *arrivals["arrival_s"].tail(1)])

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
        where = f"{self._reader.unit.capitalize()} {place}"
        self._tally.drop(reason, where=where, problem=problem, count=count)


def in_order(table: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """Return requests in order of arrival; those of one moment stay in their order."""
    late = int((table["arrival_s"].diff() < 0).sum())
    if not late:
        return table
    tally.note(f"Requests were put in order of arrival; {late:,} stood below one that arrived later.")
    return table.sort("arrival_s", maintain_order=True, nulls_last=True)


def _has(block: pl.DataFrame, name: str) -> bool:
    """Say whether a column is there and known for any request."""
    return name in block.columns and block[name].null_count() < len(block)
