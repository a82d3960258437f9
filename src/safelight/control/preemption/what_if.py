"""What would follow if a request took the places of others: bounds for those that wait, simulation for the rest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from safelight.control.batch import QueuedJob
from safelight.control.forecast import Expectation, forecast
from safelight.control.prediction import Prediction
from safelight.control.preemption.paused_rows import PausedRows
from safelight.control.preemption.protocol import Preemption
from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState
from safelight.control.workers import Workers

SEEN_WORKERS: Final = 8
"""At most so many workers are looked at for one request."""


class WhatIf:
    """The fleet as a preemption policy sees it, for one request at one moment.

    Attributes:
        forecasts: how many simulations were asked for.
    """

    def __init__(
        self, request: RequestState, workers: Workers, prediction: Prediction, rows: PausedRows, *, now: float
    ) -> None:
        self._request = request
        self._workers = workers
        self._prediction = prediction
        self._rows = rows
        self.now = now
        self.forecasts = 0

    @cached_property
    def workers(self) -> Sequence[WorkerState]:
        """Some that serve the request and have no suspect; which ones changes from request to request."""
        serving = self._workers.serving(self._request.model)
        first = self._request.sequence % max(1, len(serving))
        some = [serving[(first + number) % len(serving)] for number in range(min(SEEN_WORKERS, len(serving)))]
        return [worker for worker in some if worker.may_preempt]

    @property
    def free_paused_bytes(self) -> int:
        return self._rows.free_bytes

    def row_bytes(self, held: RequestState) -> int:
        return self._rows.expected_bytes(held)

    def leaves_room(self, request: RequestState, more_s: float) -> bool:
        return self._prediction.leaves_room(request, more_s)

    def keeps_promises(self, request: RequestState, preemption: Preemption, *, switch_s: float) -> bool:
        worker = preemption.worker
        encode_s = sum(worker.encoding_s(held) for held in preemption.paused if held.has_row)
        if not self._prediction.leaves_room(request, encode_s):
            return False
        waiting = [each.queued_job() for each in self._prediction.first_waiting(worker.capacity_rows)]
        expected = self._expected(request, preemption, switch_s, waiting)
        guard_s = worker.longest_tick_s
        return self._is_in_time(request, expected, guard_s) and all(
            self._is_in_time(held, expected, guard_s) or self._is_kept(held, preemption)
            for held in self._with_chances(worker)
        )

    def keeps_held(self, request: RequestState, worker: WorkerState) -> bool:
        """Return whether the requests of a worker that can be in time are so if `request` joins them."""
        expected = self._expected(request, Preemption(worker=worker), 0.0, ())
        return all(self._is_in_time(held, expected, 0.0) for held in self._with_chances(worker))

    def _with_chances(self, worker: WorkerState) -> Iterator[RequestState]:
        """Yield the requests of a worker that are not late anyway."""
        for held in worker.requests.values():
            has_deadline = held.request.deadline_s is not None and not held.is_withdrawn
            if has_deadline and not worker.is_hopeless(held, self.now):
                yield held

    def waits_in_time(self, request: RequestState) -> bool:
        """Return whether `request`, which is queued, is in time though nothing pauses, and one worker gets all."""
        if not self.workers:
            return False
        worker = self.workers[0]
        start_s = self.now + worker.longest_tick_s
        waiting = [each.queued_job() for each in self._prediction.first_waiting(worker.capacity_rows)]
        expected = forecast([worker.forecast_worker(start_s, request.weights_bytes)], waiting, now=start_s)
        seen = expected.get(request.id)
        return seen is not None and seen.finish_s + self._prediction.later_s(request, self.now) <= request.request.due_s

    def _expected(
        self, request: RequestState, preemption: Preemption, switch_s: float, waiting: Iterable[QueuedJob]
    ) -> dict[str, Expectation]:
        """Simulate the worker from its next step boundary on; those that pause wait for it, and so do the first others.

        The worst is assumed of those others: that this worker gets all of them.
        """
        self.forecasts += 1
        worker = preemption.worker
        stopped = {held.id for held in preemption.paused}
        start_s = self.now + worker.longest_tick_s + switch_s * len(stopped)
        copy = worker.forecast_worker(start_s, request.weights_bytes)
        copy.rows = [row for row in copy.rows if row.id not in stopped]
        copy.waits = {request_id: wait for request_id, wait in copy.waits.items() if request_id not in stopped}
        copy.add(request.queued_job(), start_s)
        paused = [_as_paused(held) for held in preemption.paused]
        return forecast([copy], [*paused, *waiting], now=start_s)

    def _is_in_time(self, request: RequestState, expected: Mapping[str, Expectation], guard_s: float) -> bool:
        finish_s = expected[request.id].finish_s + self._prediction.later_s(request, self.now)
        return finish_s + guard_s <= request.request.due_s

    def _is_kept(self, held: RequestState, preemption: Preemption) -> bool:
        """Whether one that would pause is in time wherever it goes on, behind all that waits before it."""
        if held not in preemption.paused:
            return False
        stretch = max(1.0, preemption.worker.max_denoiser_rows / held.denoiser_rows)
        finish_s = self._prediction.bound_behind_s(held, self._request, service_s=held.left_s * stretch, now=self.now)
        return finish_s <= held.request.due_s


def _as_paused(held: RequestState) -> QueuedJob:
    row = held.queued_job()
    row.has_begun = False
    return row
