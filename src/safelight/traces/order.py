"""The order of arrival."""

import polars as pl

from safelight.traces.tally import Tally


class Order:
    """Sees arrivals, block by block, and counts those that stand below a later one."""

    def __init__(self) -> None:
        self.late = 0
        self._last_s = float("-inf")

    def see(self, arrivals_s: pl.Series) -> None:
        """Look at some more; what is null has no place in time."""
        known = arrivals_s.drop_nulls()
        if len(known):
            self.late += int((known.diff() < 0).sum()) + int(known[0] < self._last_s)
            self._last_s = known[-1]

    def restore(self, frame: pl.LazyFrame, tally: Tally) -> pl.LazyFrame:
        """Return what was seen in order of arrival; requests of one moment stay in their order."""
        if not self.late:
            return frame
        tally.note(f"Requests were put in order of arrival; {self.late:,} stood below one that arrived later.")
        return frame.sort("arrival_s", maintain_order=True, nulls_last=True)
