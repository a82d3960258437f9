"""Chooses what a worker's weights hold in each tick."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from safelight.adapters.mode import ModeCosts, ModePolicy, Queue, QueuedRow
from safelight.control.batch import QueuedJob
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, Composition
from safelight.profiles.pace import PaceEstimate


class Folding:
    """Chooses, for one model, the composition in its weights and the jobs that may run.

    Jobs of one size form a queue, and each queue has a policy object of its own.
    """

    def __init__(self, pace: PaceEstimate, make_policy: Callable[[], ModePolicy], *, max_denoiser_rows: int) -> None:
        self.folded: Composition = NO_ADAPTERS
        self._pace = pace
        self._measured = pace.profile.adapter_costs
        self._make_policy = make_policy
        self._policies = defaultdict[tuple[int, int], ModePolicy](make_policy)
        self._max_denoiser_rows = max_denoiser_rows

    def stays(self, rows: Sequence[QueuedJob], *, ticks: int, now: float) -> bool:
        """Return whether all of `rows`, of one size, run over the present weights in each of the next `ticks` ticks.

        No row comes or ends meanwhile; a policy that does not say so may choose otherwise.
        """
        if self._measured is None or self._is_plain(rows):
            return True
        policy = self._make_policy()
        composition = rows[0].composition
        if getattr(policy, "is_steady", False) and all(row.composition == composition for row in rows):
            return True
        stays = getattr(policy, "stays", None)
        if stays is None:
            return False
        _, width, height = rows[0].kind
        return bool(stays(self._queue(rows, now), self._costs(width, height), ticks))

    def choose(self, rows: Sequence[QueuedJob], *, now: float) -> list[QueuedJob]:
        """Choose what the weights hold in the next tick, and return those of `rows`, of one size, that may run."""
        if self._measured is None or self._is_plain(rows):
            return list(rows)
        _, width, height = rows[0].kind
        costs = self._costs(width, height)
        choice = self._policies[width, height].choose(self._queue(rows, now), costs, now)
        self.folded = choice.mode.folded
        wanted = {row.id for row in choice.rows}
        return [row for row in rows if row.id in wanted]

    def adapter_evicted(self, handle: AdapterHandle) -> None:
        """Note that these weights, if they were folded, no longer are."""
        if handle in self.folded.handles:
            self.folded = NO_ADAPTERS

    def failed(self) -> None:
        """Note that the chosen composition could not be folded."""
        self.folded = NO_ADAPTERS

    def misfit_rows(self, rows: Sequence[QueuedJob]) -> int:
        """Return how many denoiser rows of a call over `rows` are misfits: their LoRAs are not those in the weights."""
        if self._measured is None:
            return 0
        return sum(row.denoiser_rows for row in rows if row.composition != self.folded)

    def slowdown(self, misfit_rows: int, denoiser_rows: int) -> float:
        """Return how many times longer a call takes than one without misfits."""
        if self._measured is None:
            return 1.0
        is_plain = self.folded.is_empty
        overhead = self._measured.unmerged_overhead if is_plain else self._measured.correction_overhead
        return 1 + overhead * misfit_rows / denoiser_rows

    def _is_plain(self, rows: Sequence[QueuedJob]) -> bool:
        return self.folded.is_empty and all(row.composition.is_empty for row in rows)

    def _costs(self, width: int, height: int) -> ModeCosts:
        assert self._measured is not None
        return ModeCosts(
            switch_s=self._measured.switch_s,
            tick_s=lambda denoiser_rows: self._pace.tick_s(denoiser_rows, width=width, height=height),
            unmerged_overhead=self._measured.unmerged_overhead,
            correction_overhead=self._measured.correction_overhead,
        )

    def _queue(self, rows: Sequence[QueuedJob], now: float) -> Queue:
        queued = tuple(self._queued(row, now) for row in rows)
        return Queue(rows=queued, max_denoiser_rows=self._max_denoiser_rows, folded=self.folded)

    def _queued(self, row: QueuedJob, now: float) -> QueuedRow:
        slack_s = math.inf
        if row.job.request.deadline_s is not None:
            _, width, height = row.kind
            tick_s = self._pace.tick_s(row.denoiser_rows, width=width, height=height)
            decode_s = self._pace.profile.decoding_s(width=width, height=height)
            slack_s = row.job.request.due_s - now - (row.steps_left * tick_s + decode_s)
        return QueuedRow(
            id=row.id,
            composition=row.composition,
            steps_left=row.steps_left,
            denoiser_rows=row.denoiser_rows,
            slack_s=slack_s,
        )
