"""Constant policies: always unmerged, always merged, always corrected."""

from collections import Counter
from typing import Final

from safelight.adapters.mode import UNMERGED, Choice, ModeCosts, Queue, corrected, merged


class AlwaysUnmerged:
    """Nothing is folded; every row runs, with its LoRAs beside the weights."""

    name: Final = "always-unmerged"
    is_steady: Final = True

    def stays(self, queue: Queue, costs: ModeCosts, ticks: int) -> bool:
        """Return whether all rows run, over the present weights, in each of the next ticks; steps do not count."""
        return True

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        return Choice(mode=UNMERGED, rows=queue.rows)


class AlwaysMerged:
    """The composition of the most urgent row is folded, and only its rows run."""

    name: Final = "always-merged"
    is_steady: Final = True

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        wanted = queue.rows[0].composition
        return Choice(mode=merged(wanted), rows=queue.of(wanted))


class AlwaysCorrected:
    """The most frequent composition is folded, and every row runs; the others are corrected."""

    name: Final = "always-corrected"
    is_steady: Final = True

    def stays(self, queue: Queue, costs: ModeCosts, ticks: int) -> bool:
        """Return whether all rows run, over the present weights, in each of the next ticks; steps do not count."""
        return True

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        carried = Counter(row.composition for row in queue.rows)
        most = max(carried, key=lambda each: (carried[each], each == queue.folded))
        return Choice(mode=UNMERGED if most.is_empty else corrected(most), rows=queue.rows)
