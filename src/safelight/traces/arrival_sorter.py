"""Requests in order of arrival."""

import polars as pl

from safelight.traces.read_log import ReadLog


class ArrivalSorter:
    """Finds out, block by block, how many requests stand below a later one, and sorts if there are any."""

    def __init__(self) -> None:
        self.late = 0
        self._last_s = float("-inf")

    def add(self, arrivals_s: pl.Series) -> None:
        """Inspect the next arrivals; nulls are skipped."""
        known = arrivals_s.drop_nulls()
        if len(known):
            self.late += int((known.diff() < 0).sum()) + int(known[0] < self._last_s)
            self._last_s = known[-1]

    def sort(self, frame: pl.LazyFrame, read_log: ReadLog) -> pl.LazyFrame:
        """Return `frame`, whose arrivals were added, in order of arrival; requests of one moment keep their order."""
        if not self.late:
            return frame
        read_log.note(f"Requests were put in order of arrival; {self.late:,} stood below one that arrived later.")
        return frame.sort("arrival_s", maintain_order=True, nulls_last=True)
