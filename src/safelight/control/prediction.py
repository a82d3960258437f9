"""Predicts when a request would be ready, and whether it would make an accepted one late, by bounds, not simulation."""

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from safelight.control.forecast import Expectation, forecast
from safelight.control.joining import joined_finish_s
from safelight.control.pools import Pool, pools_of
from safelight.control.request_state import RequestState
from safelight.control.waiting import WaitingQueue
from safelight.control.work_rates import WorkRates
from safelight.control.worker_state import WorkerState
from safelight.control.workers import COMPARED_WORKERS, Workers
from safelight.core.level import Route
from safelight.core.request import ImageRequest

NEAR_WORKERS: Final = 8
"""At most so many workers with room are compared for a request that would join their calls at once."""

ONE_KIND_MARGIN: Final = 1.12
MIXED_MARGIN: Final = 2.0
"""The estimate of work ahead assumes full calls. So many times as much is never too early, for one kind or several."""

UNKNOWN_PACE_MARGIN: Final = 1.25
"""A promise allows for workers that are so many times slower than measured, until they have shown their paces."""

LAST_CHANCE_SHARE: Final = 0.5
LAST_CHANCE_TICKS: Final = 3
"""A waiting request asks for the places of others when it has so much of its service time, and so many of the longest
full calls, to spare: one runs, one is a reserve, and one is for what stops.
"""

SHOWN_REQUESTS: Final = 256
"""At most this many waiting requests are in a forecast for users."""

PROBE_S: Final = 10.0
"""How often a deadline is promised by a measured pace that an idle worker has not kept lately."""


class Prediction:
    """Predicts from the controller's state.

    A waiting request is ready after all work ahead of it, shared evenly, and its own service in full calls, times a
    margin (list scheduling: Graham, 1966, theorem 1). So each punctual one limits the work ahead of it, and the queue
    keeps the least room that these limits leave behind each place.

    Attributes:
        reserved_s: work of requests that are judged together with the next one, and are not queued yet.
    """

    def __init__(self, workers: Workers, waiting: WaitingQueue) -> None:
        self._workers = workers
        self._waiting = waiting
        self._rates = WorkRates(workers)
        self._pools: dict[str, Pool] = {}
        self._margins: dict[str, float] = {}
        self._probed_s: dict[str, float] = {}
        self._roster = -1
        self._now = 0.0
        self._last: tuple[RequestState, float] | None = None
        self.reserved_s = 0.0

    def weigh(self, request: RequestState, now: float) -> None:
        """Set the work of a request's stages, and its limit; the request is not queued yet."""
        self._refresh(request, now)
        self._set_work(request, now)
        self._set_limit(request)

    def alone_s(self, request: ImageRequest, route: Route, now: float) -> float:
        """Return the work of a request's first stage, before it is bound; 0 while no worker serves its model."""
        level = route.levels[0]
        rate = self._rates.rate((level.model, request.width, request.height), now)
        return 0.0 if rate is None else rate.work_s(request, level)

    def workers_changed(self) -> None:
        """Note that a worker has joined or left, or takes no new work, or takes it again."""
        self._roster = -1

    def finish_s(self, request: RequestState, now: float) -> float | None:
        """Return when `request`, which is not queued yet, would be ready; None while no live worker serves its model.

        An empty worker is judged by its fastest known pace, so that a pace learned under load does not refuse work
        forever.
        """
        return self._noted(request, self._finish_s(request, now, until_s=-math.inf))

    def promise_s(self, request: RequestState, now: float) -> float | None:
        """Return a time like `finish_s`, with caution while others wait for workers that have not shown their paces."""
        pool = self._pools.get(request.model)
        is_known = pool is None or pool.is_learned or not len(self._waiting)
        due_s = request.request.due_s
        caution = 1.0 if is_known else UNKNOWN_PACE_MARGIN
        return self._noted(request, self._finish_s(request, now, caution=caution, until_s=due_s))

    def judged_s(self, request: RequestState, now: float) -> float | None:
        """Return the time by which `request` was judged last, or `finish_s` if it was not."""
        if self._last is not None and self._last[0] is request:
            return self._last[1]
        return self.finish_s(request, now)

    def _noted(self, request: RequestState, finish_s: float | None) -> float | None:
        self._last = None if finish_s is None else (request, finish_s)
        return finish_s

    def probes(self, request: RequestState, now: float) -> bool:
        """Return whether `request` may try, in place of the next ones, if a worker is faster again than it was lately.

        Only one in `PROBE_S` may.
        """
        own = self._workers.by_model.get(request.model)
        if own is None or not own.open or not own.open[0].is_empty:
            return True
        spare_s = request.request.due_s - now - self.later_s(request, now)
        if any(worker.service_s(request) <= spare_s for worker in islice(own.idle, COMPARED_WORKERS)):
            return True
        last_s = self._probed_s.get(request.model)
        if last_s is not None and now - last_s < PROBE_S:
            return False
        self._probed_s[request.model] = now
        return True

    def lacks_room(self, request: RequestState) -> bool:
        """Return whether `request`, which is weighed, would make a waiting one late that goes behind it."""
        pool = self._pools.get(request.model)
        if pool is None or not self._waiting.has_work:
            return False
        room = self._waiting.room_behind(request.place, pool.name)
        return room - self._ahead_now_s(pool) < request.work_s + self.reserved_s

    def leaves_room(self, request: RequestState, more_s: float) -> bool:
        """Return whether `request`, which is weighed, and `more_s` seconds may go before all that wait."""
        pool = self._pools.get(request.model)
        if pool is None:
            return False
        if not self._waiting.has_work:
            return True
        room = self._waiting.room_behind((), pool.name)
        return room - self._ahead_now_s(pool) >= request.work_s + more_s + self.reserved_s

    def bound_behind_s(self, held: RequestState, newcomer: RequestState, *, service_s: float, now: float) -> float:
        """Return when `held` would be ready if its worker stopped it for `newcomer`, and it waited at its place."""
        pool = self._pools[held.model]
        ahead_s = self._waiting.work_ahead_s(held.place, pool.name) + pool.held_s - held.left_s + newcomer.work_s
        return now + (ahead_s / pool.least_workers + service_s) * self._margin(held, pool)

    def first_waiting(self, count: int) -> Iterable[RequestState]:
        """Yield the first `count` waiting requests, in order."""
        return self._waiting.first(count)

    def finish_behind_all_s(self, request: RequestState, now: float) -> float:
        """Return when `request` would be ready behind all that waits."""
        pool = self._pools[request.model]
        ahead_s = self._waiting.pool_work_s(pool.name) + pool.held_s
        return now + (ahead_s / pool.least_workers + request.service_s) * self._margin(request, pool)

    def backlog_s(self, model: str) -> float:
        """Return the seconds in which the workers of `model` would finish the whole queue."""
        return self._waiting.work_s / max(1, len(self._workers.serving(model)))

    def late_from_s(self, request: RequestState) -> float:
        """Return from when on a waiting request is late; it will find calls full when it starts.

        One that was stopped was promised by a forecast that knows the calls, so it is late when it is so even alone.
        """
        workers = self._workers.serving(request.model)[:COMPARED_WORKERS]
        service_s = (
            worker.best_service_s(request) if request.stops else worker.full_service_s(request) for worker in workers
        )
        return request.request.due_s - min(service_s, default=0.0)

    def last_chance_s(self, request: RequestState) -> float:
        """Return when a waiting request, whose `late_from_s` is known, asks for the places of others."""
        spare_s = LAST_CHANCE_SHARE * (request.request.due_s - request.late_from_s)
        longest_s = 0.0
        for worker in self._workers.serving(request.model)[:1]:
            ticks_s = (worker.full_tick_s(kind) for kind in self._workers.kinds if worker.serves(kind[0]))
            longest_s = max(ticks_s, default=0.0)
        return request.late_from_s - spare_s - LAST_CHANCE_TICKS * longest_s

    def expected(self, now: float) -> dict[str, Expectation]:
        """Return the expectations of running requests and of the first waiting ones, if no other request arrives."""
        near = [*self._waiting.first(SHOWN_REQUESTS), *self._waiting.coming]
        sizes = {handle: size for request in near for handle, size in request.weights_bytes.items()}
        return forecast(
            [worker.forecast_worker(now, sizes) for worker in self._workers.responsive],
            [request.queued_job() for request in near],
            now=now,
        )

    def _finish_s(self, request: RequestState, now: float, *, until_s: float, caution: float = 1.0) -> float | None:
        """Return the least of the bounds, or the first that is at most `until_s`."""
        own = self._workers.by_model.get(request.model)
        if own is None:
            return None
        if own.open:
            idle = list(islice(own.idle, COMPARED_WORKERS)) if own.open[0].is_empty and not self.reserved_s else []
            if idle:
                return now + min(worker.best_service_s(request) for worker in idle) + self.later_s(request, now)
        finish_s = now + caution * self._bound_s(request, own.all)
        if own.open and finish_s > until_s and not self.reserved_s and self._is_first(request):
            later_s = self.later_s(request, now)
            for worker in own.open[:NEAR_WORKERS]:
                if worker.has_room(request) and not worker.has_forecast:
                    finish_s = min(finish_s, joined_finish_s(worker, request, now, caution=caution) + later_s)
        return finish_s

    def _is_first(self, request: RequestState) -> bool:
        """Whether nothing waits for its model that goes before it, and keeps room for itself."""
        first = next(self._waiting.of(request.model), None)
        return first is None or request.place < first.place

    def _bound_s(self, request: RequestState, serving: Sequence[WorkerState]) -> float:
        """Return the seconds by which the request is ready, whatever kinds of requests mix in the calls before."""
        pool = self._pools[request.model]
        ahead_s = self._waiting.work_ahead_s(request.place, pool.name) + pool.held_s + self.reserved_s
        loading_s = 0.0
        if request.weights_bytes:
            loading_s = min(worker.loading_s(request) for worker in serving[:NEAR_WORKERS])
        bound_s = (ahead_s / pool.least_workers + request.service_s) * self._margin(request, pool)
        return bound_s + loading_s

    def _margin(self, request: RequestState, pool: Pool) -> float:
        kind = request.job.kind
        mixes = pool.mixes(self._waiting.kinds, kind) or pool.mixes(self._workers.kinds, kind)
        return MIXED_MARGIN if mixes else ONE_KIND_MARGIN

    def _ahead_now_s(self, pool: Pool) -> float:
        """Return what the workers hold, and what they could have done by `now`, on the scale of limits."""
        return pool.held_s + pool.least_workers * self._now / self._margins[pool.name]

    def later_s(self, request: RequestState, now: float) -> float:
        """Return the seconds of the stages that have to follow in time, in full calls."""
        if len(request.stages_left) == 1 or request.keeps_deadline:
            return 0.0
        _, width, height = request.job.kind
        seconds = 0.0
        for level in request.stages_left[1:]:
            rate = self._rates.rate((level.model, width, height), now)
            seconds += 0.0 if rate is None else rate.service_s(request.request, level)
        return seconds

    def _set_work(self, request: RequestState, now: float) -> None:
        _, width, height = request.job.kind
        request.work_s = request.step_work_s = request.service_s = 0.0
        for number, (level, share) in enumerate(request.expected_stages):
            rate = self._rates.rate((level.model, width, height), now)
            if rate is None:
                continue
            if not number:
                request.step_work_s = rate.step_s(request.request, level)
                request.service_s -= request.step * request.step_work_s * rate.stretch(level)
            request.work_s += share * rate.work_s(request.request, level)
            if not number or not request.keeps_deadline:
                request.service_s += rate.service_s(request.request, level)

    def limit(self, request: RequestState) -> None:
        """Set how much work may be ahead of a running request that is about to wait again."""
        self._set_work(request, self._now)
        self._set_limit(request)

    def _set_limit(self, request: RequestState) -> None:
        pool = self._pools.get(request.model)
        request.work_limit = math.inf
        if pool is not None and request.is_punctual:
            seconds = request.request.due_s / self._margins[pool.name] - request.service_s
            request.work_limit = pool.least_workers * seconds

    def _refresh(self, request: RequestState, now: float) -> None:
        """Weigh everything anew if the workers, their paces or the margin have changed."""
        self._now = now
        is_changed = self._roster != self._workers.roster
        if is_changed:
            self._roster = self._workers.roster
            self._rates.clear()
            self._pools = dict(pools_of(self._workers))
            self._margins = {pool.name: ONE_KIND_MARGIN for pool in self._pools.values()}
        self._rates.has_drifted = False
        self._rates.rate(request.job.kind, now)
        pool = self._pools.get(request.model)
        if pool is not None:
            margin = self._margin(request, pool) * (1.0 if pool.is_learned else UNKNOWN_PACE_MARGIN)
            is_changed = is_changed or margin != self._margins[pool.name]
            self._margins[pool.name] = margin
        if is_changed or self._rates.has_drifted:
            self._weigh_all(now)

    def _weigh_all(self, now: float) -> None:
        for request in self._waiting:
            self._set_work(request, now)
            self._set_limit(request)
        self._waiting.regroup({model: pool.name for model, pool in self._pools.items()})
        for worker in self._workers:
            for request in worker.requests.values():
                self._set_work(request, now)
            worker.left_s = sum(request.left_s for request in worker.requests.values())
