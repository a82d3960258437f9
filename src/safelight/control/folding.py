"""What a worker's weights hold, tick by tick."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from safelight.adapters.mode import ModeCosts, ModePolicy, Queue, QueuedRow
from safelight.control.batch import Row
from safelight.core.adapter import NO_ADAPTERS, Composition
from safelight.profiles.model import ModelProfile


class Folding:
    """Chooses, for one model, the composition that its weights hold and the rows that may run over it.

    Rows of one size are one queue, and each queue gets a policy of its own.
    """

    def __init__(self, profile: ModelProfile, make_policy: Callable[[], ModePolicy], *, max_denoiser_rows: int) -> None:
        self.folded: Composition = NO_ADAPTERS
        self._profile = profile
        self._policies = defaultdict[tuple[int, int], ModePolicy](make_policy)
        self._max_denoiser_rows = max_denoiser_rows

    def choose(self, rows: Sequence[Row], *, now: float) -> list[Row]:
        """Decide what the weights hold in the next tick, and return those of `rows`, of one size, that may run."""
        if self._profile.spec.adapter_costs is None or self._is_plain(rows):
            return list(rows)
        width, height = rows[0].request.width, rows[0].request.height
        costs = self._costs(width, height)
        queued = tuple(self._queued(row, now) for row in rows)
        queue = Queue(rows=queued, max_denoiser_rows=self._max_denoiser_rows, folded=self.folded)
        choice = self._policies[width, height].choose(queue, costs, now)
        self.folded = choice.mode.folded
        wanted = {row.id for row in choice.rows}
        return [row for row in rows if row.request.id in wanted]

    def adapter_evicted(self, handle: str) -> None:
        """Note that what was folded with these weights no longer is."""
        if handle in self.folded.names:
            self.folded = NO_ADAPTERS

    def failed(self) -> None:
        """Note that the weights could not be made to hold what was chosen."""
        self.folded = NO_ADAPTERS

    def slowdown(self, rows: Sequence[Row]) -> float:
        """Return how many times longer a call over `rows` takes than one whose rows all fit the weights."""
        costs = self._profile.spec.adapter_costs
        if costs is None:
            return 1.0
        total = sum(row.denoiser_rows for row in rows)
        misfits = sum(row.denoiser_rows for row in rows if row.composition != self.folded)
        overhead = costs.unmerged_overhead if self.folded.is_empty else costs.correction_overhead
        return 1 + overhead * misfits / total

    def _is_plain(self, rows: Sequence[Row]) -> bool:
        return self.folded.is_empty and all(row.composition.is_empty for row in rows)

    def _costs(self, width: int, height: int) -> ModeCosts:
        measured = self._profile.spec.adapter_costs
        assert measured is not None
        return ModeCosts(
            switch_s=measured.switch_s,
            tick_s=lambda denoiser_rows: self._profile.tick_s(denoiser_rows, width=width, height=height),
            unmerged_overhead=measured.unmerged_overhead,
            correction_overhead=measured.correction_overhead,
        )

    def _queued(self, row: Row, now: float) -> QueuedRow:
        request = row.request
        slack_s = math.inf
        if request.deadline_s is not None:
            size = {"width": request.width, "height": request.height}
            busy_s = row.steps_left * self._profile.tick_s(row.denoiser_rows, **size) + self._profile.decoding_s(**size)
            slack_s = request.due_s - now - busy_s
        return QueuedRow(
            id=request.id,
            composition=row.composition,
            steps_left=row.steps_left,
            denoiser_rows=row.denoiser_rows,
            slack_s=slack_s,
        )
