"""Forecasts by simulation of the replicas' own choices, if no other request arrives."""

import heapq
import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from safelight.control.batch import QueuedJob, place_of
from safelight.control.batching_policies import BatchingPolicy
from safelight.control.folding import Folding
from safelight.core.adapter import AdapterHandle
from safelight.profiles.loads import LoadEstimate
from safelight.profiles.pace import PaceEstimate

NO_BYTES: Final[Mapping[AdapterHandle, int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """When a picture is expected to get its first tick and to be ready; a past start is given as now."""

    start_s: float
    finish_s: float


@dataclass(slots=True, eq=False, kw_only=True)
class ForecastWorker:
    """One worker in a forecast; `rows` and `resident` are its own copies.

    Attributes:
        rows: the jobs that it holds, in order.
        resident: adapters on its device.
        weights_bytes: of the adapters that the rows use.
        ready_s: when the adapters of rows that wait for them will be on the device.
        loads_end_s: when the loads that are planned so far will be over; one runs at a time.
    """

    paces: Mapping[str, PaceEstimate]
    loads: LoadEstimate
    batching: BatchingPolicy
    foldings: Mapping[str, Folding]
    max_denoiser_rows: int
    capacity_rows: int
    rows: list[QueuedJob] = field(default_factory=list)
    resident: AbstractSet[AdapterHandle] = frozenset()
    weights_bytes: Mapping[AdapterHandle, int] = field(default_factory=lambda: NO_BYTES)
    ready_s: dict[str, float] = field(default_factory=dict)
    loads_end_s: float = 0.0

    def take_from(self, waiting: list[QueuedJob], now: float) -> None:
        """Move jobs from `waiting`, which is in order, until the next one that could run here has no room."""
        free_rows = self.capacity_rows - sum(row.denoiser_rows for row in self.rows)
        taken = 0
        while free_rows > 0 and taken < len(waiting):
            row = waiting[taken]
            if row.kind[0] not in self.paces:
                taken += 1
            elif row.denoiser_rows <= free_rows or not self.rows:
                insort(self.rows, waiting.pop(taken), key=place_of)
                self.plan_load(row, now)
                free_rows -= row.denoiser_rows
            else:
                return

    def plan_load(self, row: QueuedJob, now: float) -> None:
        """Note when the adapters of a job that arrives at `now` will be on the device."""
        missing = [handle for handle in row.job.handles if handle not in self.resident]
        if not missing:
            return
        seconds = sum(self.loads.seconds(self.weights_bytes.get(handle, 0)) for handle in missing)
        self.loads_end_s = max(self.loads_end_s, now) + seconds
        self.ready_s[row.id] = self.loads_end_s
        self.resident = {*self.resident, *missing}
        if row.job.request.grace_steps and not row.job.request.controlnets and not row.has_begun:
            row.grace_left = row.job.request.grace_steps

    def advance(self, now: float, starts: dict[str, float]) -> tuple[float, list[QueuedJob]]:
        """Run ticks until the set of runnable rows changes; returns that time, and the rows that finish."""
        runnable = [row for row in self.rows if self._may_run(row, now)]
        if not runnable:
            return min(self.ready_s.values()), []
        batch, tick_s, switch_s = self._choose(runnable, now)
        ticks = self._ticks(batch, tick_s, now)
        encode_s = self._begin(batch, now, starts)
        for row in batch:
            row.steps_left -= ticks
            if row.grace_left is not None:
                row.grace_left -= ticks
        done = [row for row in batch if row.steps_left == 0]
        self.rows = [row for row in self.rows if row.steps_left > 0]
        for row in done:
            self.ready_s.pop(row.id, None)
        _, width, height = batch[0].kind
        decode_s = len(done) * self.paces[batch[0].kind[0]].profile.decoding_s(width=width, height=height)
        return now + switch_s + encode_s + ticks * tick_s + decode_s, done

    def _may_run(self, row: QueuedJob, now: float) -> bool:
        ready_s = self.ready_s.get(row.id)
        if ready_s is None or ready_s <= now:
            row.grace_left = None
            self.ready_s.pop(row.id, None)
            return True
        return row.grace_left is not None and not row.is_held_back

    def _choose(self, runnable: Sequence[QueuedJob], now: float) -> tuple[list[QueuedJob], float, float]:
        """Return the rows of the next tick, its seconds, and the seconds of folding another composition before it."""
        model, width, height = kind = runnable[0].kind
        pace, folding = self.paces[model], self.foldings[model]
        before = folding.folded
        rows = folding.choose([row for row in runnable if row.kind == kind], now=now)
        batch = self.batching.choose(rows, now=now, paces=self.paces, max_denoiser_rows=self.max_denoiser_rows)
        denoiser_rows = sum(row.denoiser_rows for row in batch)
        slowdown = folding.slowdown(folding.misfit_rows(batch), denoiser_rows)
        costs = pace.profile.adapter_costs
        switch_s = 0.0 if costs is None or folding.folded == before else costs.switch_s
        return batch, pace.tick_s(denoiser_rows, width=width, height=height) * slowdown, switch_s

    def _ticks(self, batch: Sequence[QueuedJob], tick_s: float, now: float) -> int:
        """Return how many ticks these rows run together before another row may run, or one of them ends or pauses."""
        ticks = min(row.steps_left for row in batch)
        ticks = min((ticks, *(row.grace_left for row in batch if row.grace_left is not None)))
        if self.ready_s and tick_s > 0:
            ticks = min(ticks, max(1, math.ceil((min(self.ready_s.values()) - now) / tick_s)))
        return ticks

    def _begin(self, batch: Sequence[QueuedJob], now: float, starts: dict[str, float]) -> float:
        """Return the seconds of encoding the rows of `batch` that have not begun."""
        seconds = 0.0
        for row in batch:
            starts.setdefault(row.id, now)
            if not row.has_begun:
                model, width, height = row.kind
                has_source = row.job.request.source is not None
                profile = self.paces[model].profile
                seconds += profile.encoding_s(width=width, height=height, has_source=has_source)
                row.has_begun = True
        return seconds


def forecast(workers: Sequence[ForecastWorker], waiting: Iterable[QueuedJob], *, now: float) -> dict[str, Expectation]:
    """Return the expectation of each job, by request id; jobs that no worker serves are left out.

    The simulation changes `workers`.
    """
    queue = sorted(waiting, key=place_of)
    starts: dict[str, float] = {}
    expected: dict[str, Expectation] = {}
    moments = [(now, index) for index in range(len(workers))]
    while moments:
        moment, index = heapq.heappop(moments)
        worker = workers[index]
        worker.take_from(queue, moment)
        if not worker.rows:
            continue
        later, done = worker.advance(moment, starts)
        for row in done:
            expected[row.id] = Expectation(start_s=starts[row.id], finish_s=later)
        heapq.heappush(moments, (later, index))
    return expected
