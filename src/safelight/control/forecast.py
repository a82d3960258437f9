"""Forecasts by simulation of the replicas' own choices, if no other request arrives."""

import heapq
import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from safelight.control.batch import QueuedJob, place_of
from safelight.control.batching.protocol import BatchingPolicy
from safelight.control.folding import Folding
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.protocol import OrderPolicy
from safelight.control.turns import in_turn, next_turn_s
from safelight.core.adapter import AdapterHandle
from safelight.profiles.loads import LoadEstimate
from safelight.profiles.pace import PaceEstimate

NO_BYTES: Final[Mapping[AdapterHandle, int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """When a picture is expected to get its first tick and to be ready; a past start is given as now."""

    start_s: float
    finish_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterWait:
    """When a row will have its ControlNets, without which no step runs, and when all of its adapters."""

    controlnets_s: float
    all_s: float


@dataclass(slots=True, eq=False, kw_only=True)
class ForecastWorker:
    """One worker in a forecast; `rows` are its own copies.

    Attributes:
        rows: the jobs that it holds, in order.
        resident: adapters on its device.
        weights_bytes: of the adapters that the rows use.
        arrivals_s: when adapters on their way will be on the device.
        loads_end_s: when the loads that are planned so far will be over; one runs at a time.
        waits: of rows that lack adapters, by request id.
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
    arrivals_s: dict[AdapterHandle, float] = field(default_factory=dict)
    loads_end_s: float = 0.0
    waits: dict[str, AdapterWait] = field(default_factory=dict)
    order: OrderPolicy = field(default_factory=DeadlineOrder)

    def take_from(self, waiting: list[QueuedJob], now: float) -> None:
        """Move jobs from `waiting`, which is in order, until the next one that could run here has no room."""
        free_rows = self.capacity_rows - sum(row.denoiser_rows for row in self.rows)
        taken = 0
        while free_rows > 0 and taken < len(waiting):
            row = waiting[taken]
            if row.kind[0] not in self.paces:
                taken += 1
            elif row.denoiser_rows <= free_rows or not self.rows:
                self.add(waiting.pop(taken), now)
                free_rows -= row.denoiser_rows
            else:
                return

    def add(self, row: QueuedJob, now: float) -> None:
        """Add a job that comes at `now`."""
        insort(self.rows, row, key=place_of)
        self.plan_load(row, now)

    def plan_load(self, row: QueuedJob, now: float) -> None:
        """Note when a job that has come at `now`, or was here, will have its adapters on the device."""
        if not row.job.handles:
            return
        request = row.job.request
        controlnets = {row.job.handle(use.name) for use in request.controlnets}
        arrivals_s = {handle: self._arrival_s(handle, now) for handle in row.job.handles}
        wait = AdapterWait(
            controlnets_s=max((arrivals_s[handle] for handle in controlnets), default=now),
            all_s=max(arrivals_s.values()),
        )
        if wait.all_s <= now:
            return
        self.waits[row.id] = wait
        if request.grace_steps:
            row.grace_left = max(0, request.grace_steps - row.job.level.steps_to_run + row.steps_left)

    def _arrival_s(self, handle: AdapterHandle, now: float) -> float:
        if handle in self.resident:
            return now
        if handle not in self.arrivals_s:
            self.loads_end_s = max(self.loads_end_s, now) + self.loads.seconds(self.weights_bytes.get(handle, 0))
            self.arrivals_s[handle] = self.loads_end_s
        return self.arrivals_s[handle]

    def advance(self, now: float, starts: dict[str, float]) -> tuple[float, list[QueuedJob]]:
        """Run ticks until the set of runnable rows changes; returns that time, and the rows that finish."""
        runnable = [row for row in self.rows if self._may_run(row, now)]
        if not runnable:
            return self._next_arrival_s(now), []
        most = self.max_denoiser_rows
        runnable = in_turn(runnable, now=now, paces=self.paces, max_denoiser_rows=most, order=self.order)
        batch, tick_s, switch_s = self._choose(runnable, now)
        first_s = now + switch_s + self._begin(batch, now, starts)
        turn_s = next_turn_s(
            runnable, now=now, running=batch, paces=self.paces, max_denoiser_rows=most, order=self.order
        )
        ticks = self._ticks(batch, tick_s, now, first_s, turn_s)
        for row in batch:
            row.steps_left -= ticks
            if row.grace_left is not None:
                row.grace_left -= ticks
        done = [row for row in batch if row.steps_left == 0]
        self.rows = [row for row in self.rows if row.steps_left > 0]
        for row in done:
            self.waits.pop(row.id, None)
        _, width, height = batch[0].kind
        decode_s = len(done) * self.paces[batch[0].kind[0]].profile.decoding_s(width=width, height=height)
        return first_s + ticks * tick_s + decode_s, done

    def _may_run(self, row: QueuedJob, now: float) -> bool:
        wait = self.waits.get(row.id)
        if wait is None:
            return True
        if wait.all_s <= now:
            row.grace_left = None
            del self.waits[row.id]
            return True
        return wait.controlnets_s <= now and row.grace_left is not None and not row.is_held_back

    def _next_arrival_s(self, now: float) -> float:
        """Return when the next row that lacks adapters gets some."""
        moments = (moment for wait in self.waits.values() for moment in (wait.controlnets_s, wait.all_s))
        return min(moment for moment in moments if moment > now)

    def _choose(self, runnable: Sequence[QueuedJob], now: float) -> tuple[list[QueuedJob], float, float]:
        """Return the rows of the next tick, its seconds, and the seconds of folding another composition before it."""
        candidates = self.batching.candidates(runnable)
        model, width, height = candidates[0].kind
        pace, folding = self.paces[model], self.foldings[model]
        before = folding.folded
        rows = folding.choose(candidates, now=now)
        batch = self.batching.choose(rows, now=now, paces=self.paces, max_denoiser_rows=self.max_denoiser_rows)
        denoiser_rows = sum(row.denoiser_rows for row in batch)
        slowdown = folding.slowdown(folding.misfit_rows(batch), denoiser_rows)
        costs = pace.profile.adapter_costs
        switch_s = 0.0 if costs is None or folding.folded == before else costs.switch_s
        return batch, pace.tick_s(denoiser_rows, width=width, height=height) * slowdown, switch_s

    def _ticks(self, batch: Sequence[QueuedJob], tick_s: float, now: float, first_s: float, turn_s: float) -> int:
        """Return how many ticks from `first_s` on these rows share before another may run, or one ends or stops."""
        ticks = min(row.steps_left for row in batch)
        ticks = min((ticks, *(row.grace_left for row in batch if row.grace_left is not None)))
        if self.waits and tick_s > 0:
            ticks = min(ticks, max(1, math.ceil((self._next_arrival_s(now) - first_s) / tick_s)))
        if turn_s < math.inf and tick_s > 0:
            ticks = min(ticks, max(1, math.floor((turn_s - first_s) / tick_s) + 1))
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
