"""Predicts when a request would be ready: by simulation in the near future, by a conservative bound beyond."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from safelight.control.batch import Kind
from safelight.control.forecast import Expectation, forecast
from safelight.control.request_state import RequestState
from safelight.control.waiting import WaitingQueue
from safelight.control.worker_state import WorkerState
from safelight.control.workers import COMPARED_WORKERS, Workers

NEAR_REQUESTS: Final = 64
NEAR_WORKERS: Final = 8
"""At most this many waiting requests and workers are simulated; beyond, the bound counts."""

ONE_KIND_MARGIN: Final = 1.12
MIXED_MARGIN: Final = 2.0
"""The estimate of work ahead assumes full calls. So many times as much is never too early, for one kind or several."""

RATES_HOLD_S: Final = 1.0
"""How long a computed work rate is reused before it is computed again."""

SHOWN_REQUESTS: Final = 256
"""At most this many waiting requests are in a forecast for users."""


@dataclass(frozen=True, kw_only=True)
class WorkRate:
    """Seconds of one worker's time for a picture of one kind, in full calls."""

    step_row_s: float
    encode_s: float
    encode_source_s: float
    decode_s: float


class Prediction:
    """Predicts from the controller's state."""

    def __init__(self, workers: Workers, waiting: WaitingQueue) -> None:
        self._workers = workers
        self._waiting = waiting
        self._rates: dict[Kind, tuple[float, WorkRate]] = {}

    def weigh(self, request: RequestState, now: float) -> None:
        """Set the work of a request's present stage; the request is not queued yet."""
        rate = self._rate(request, now)
        if rate is None:
            request.work_s = request.step_work_s = 0.0
            return
        level = request.job.level
        encode_s = rate.encode_s if request.request.source is None else rate.encode_source_s
        request.step_work_s = rate.step_row_s * level.denoiser_rows
        request.work_s = encode_s + level.steps_to_run * request.step_work_s + rate.decode_s

    def workers_changed(self) -> None:
        """Note that a worker has joined or left."""
        self._rates.clear()

    def finish_s(self, request: RequestState, now: float) -> float | None:
        """Return when `request`, which is not queued yet, would be ready; None while no live worker serves its model.

        An empty worker is judged by its fastest known pace, so that a pace learned under load does not refuse work
        forever.
        """
        own = self._workers.by_model.get(request.model)
        if own is None:
            return None
        if not own.open:
            return self._finish_behind_others_s(request, own.all, now)
        idle = list(own.idle)[:COMPARED_WORKERS] if own.open[0].is_empty else []
        if idle:
            return now + min(worker.best_service_s(request) for worker in idle)
        if self._is_first(request):
            fitting = [worker for worker in own.open[:COMPARED_WORKERS] if worker.has_room(request)]
            if fitting:
                return min(worker.finish_s(request, now) for worker in fitting)
        return self._finish_behind_others_s(request, own.all, now)

    def backlog_s(self, model: str) -> float:
        """Return the seconds in which the workers of `model` would finish the whole queue."""
        return self._waiting.work_s / max(1, len(self._workers.serving(model)))

    def expected(self, now: float) -> dict[str, Expectation]:
        """Return the expectations of running requests and of the first waiting ones, if no other request arrives."""
        near = list(self._waiting.first(SHOWN_REQUESTS))
        sizes = {handle: size for request in near for handle, size in request.weights_bytes.items()}
        return forecast(
            [worker.forecast_worker(now, sizes) for worker in self._workers.responsive],
            [request.queued_job() for request in near],
            now=now,
        )

    def _finish_behind_others_s(self, request: RequestState, serving: Sequence[WorkerState], now: float) -> float:
        bound_s = self._bound_s(request, serving)
        if now + bound_s <= request.request.due_s or not self._is_near(request):
            return now + bound_s
        ahead = list(self._waiting.first(self._waiting.position(request)))
        sizes = {handle: size for other in (*ahead, request) for handle, size in other.weights_bytes.items()}
        workers = [worker.forecast_worker(now, sizes) for worker in self._workers.responsive]
        rows = [other.queued_job() for other in (*ahead, request)]
        return forecast(workers, rows, now=now)[request.id].finish_s

    def _is_first(self, request: RequestState) -> bool:
        """Whether nothing waits for its model that goes before it, and keeps room for itself."""
        first = next(self._waiting.of(request.model), None)
        return first is None or request.place < first.place

    def _is_near(self, request: RequestState) -> bool:
        return len(self._workers) <= NEAR_WORKERS and self._waiting.position(request) < NEAR_REQUESTS

    def _bound_s(self, request: RequestState, serving: Sequence[WorkerState]) -> float:
        """Return the seconds by which the request is ready, whatever kinds of requests mix in the calls before."""
        is_mixed = self._waiting.kinds.keys() | self._workers.kinds.keys() != {request.job.kind}
        return self._estimate_s(request, serving) * (MIXED_MARGIN if is_mixed else ONE_KIND_MARGIN)

    def _estimate_s(self, request: RequestState, serving: Sequence[WorkerState]) -> float:
        """Return the seconds of all work ahead, shared evenly, and then of the request in full calls.

        List scheduling ends at most one request later than evenly shared work (Graham, 1966, theorem 1).
        """
        ahead_s = self._waiting.work_ahead_s(request.place) + sum(worker.left_s for worker in serving)
        worker = serving[0]
        beside_rows = max(0, worker.max_denoiser_rows - request.denoiser_rows)
        own_s = worker.paces[request.model].service_s(request.job, beside_rows=beside_rows)
        return ahead_s / len(serving) + own_s

    def _rate(self, request: RequestState, now: float) -> WorkRate | None:
        kind = request.job.kind
        known = self._rates.get(kind)
        if known is not None and now - known[0] < RATES_HOLD_S:
            return known[1]
        serving = self._workers.serving(kind[0])
        if not serving:
            return None
        rate = _mean_rate(kind, serving[:COMPARED_WORKERS])
        self._rates[kind] = (now, rate)
        return rate


def _mean_rate(kind: Kind, workers: Sequence[WorkerState]) -> WorkRate:
    """Return the rate of a worker with the average speed of `workers`."""
    model, width, height = kind
    slowness = [
        worker.paces[model].tick_s(worker.max_denoiser_rows, width=width, height=height) / worker.max_denoiser_rows
        for worker in workers
    ]
    profile = workers[0].paces[model].profile
    return WorkRate(
        step_row_s=len(slowness) / sum(1 / seconds for seconds in slowness) if min(slowness) > 0 else 0.0,
        encode_s=profile.encoding_s(width=width, height=height, has_source=False),
        encode_source_s=profile.encoding_s(width=width, height=height, has_source=True),
        decode_s=profile.decoding_s(width=width, height=height),
    )
