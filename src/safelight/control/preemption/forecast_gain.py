"""Pictures pause where a forecast says that another one gains its deadline and none loses its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from safelight.control.preemption.protocol import Preemption, PreemptionView
from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState

MAX_PAUSES: Final = 2
LEAST_STEPS: Final = 4
SWITCH_S: Final = 0.01
FORECASTS: Final = 2


@dataclass(frozen=True, kw_only=True)
class ForecastGain:
    """Pause long pictures for an urgent one that would be late otherwise, if a forecast says that nobody becomes late.

    Only requests that the order puts behind the urgent one pause, so none of them waits longer than the patience of the
    order allows. Those that have not begun make way first, then those with the most time to spare.

    Attributes:
        max_pauses: how many times one stage of a request may be stopped.
        least_steps: that a row runs between two pauses.
        switch_s: allowance for stopping a row and for sending its latents to where it goes on, in seconds.
        forecasts: workers that are simulated for one request.
    """

    name: ClassVar[str] = "forecast-gain"
    max_pauses: int = MAX_PAUSES
    least_steps: int = LEAST_STEPS
    switch_s: float = SWITCH_S
    forecasts: int = FORECASTS

    def choose(self, request: RequestState, view: PreemptionView) -> Preemption | None:
        if not view.leaves_room(request, 0.0):
            return None
        for preemption in sorted(self._candidates(request, view), key=_harm)[: self.forecasts]:
            if view.keeps_promises(request, preemption, switch_s=self.switch_s):
                return preemption
        return None

    def _candidates(self, request: RequestState, view: PreemptionView) -> Iterator[Preemption]:
        for worker in view.workers:
            if view.now + worker.service_s(request) > request.request.due_s:
                continue
            paused = self._paused(request, worker, view)
            if paused is not None:
                yield Preemption(worker=worker, paused=paused)

    def _paused(
        self, request: RequestState, worker: WorkerState, view: PreemptionView
    ) -> tuple[RequestState, ...] | None:
        """Return who has to pause on `worker`, or None if there are too few who may."""
        lacking_rows = worker.lacking_rows(request)
        chosen: list[RequestState] = []
        free_bytes = view.free_paused_bytes
        for held in sorted(worker.requests.values(), key=_readiness):
            if lacking_rows <= 0:
                break
            row_bytes = view.row_bytes(held)
            if self._may_pause(held, request) and row_bytes <= free_bytes:
                chosen.append(held)
                lacking_rows -= held.denoiser_rows
                free_bytes -= row_bytes
        return tuple(chosen) if lacking_rows <= 0 else None

    def _may_pause(self, held: RequestState, request: RequestState) -> bool:
        if held.is_withdrawn or held.is_suspect or held.stops >= self.max_pauses or held.place < request.place:
            return False
        if not held.has_row:
            return True
        steps_left = held.job.level.steps_to_run - held.step
        has_run = held.step - held.begun_step >= self.least_steps
        return has_run and steps_left > 1


def _harm(preemption: Preemption) -> tuple[int, int]:
    """Order preemptions by the rows that stop, and then by how much their workers have to do."""
    return sum(held.has_row for held in preemption.paused), preemption.worker.load


def _readiness(held: RequestState) -> tuple[bool, float, float]:
    """Order requests by how well they can pause: first those without a row, then those due last, with most to do."""
    return held.has_row, -held.request.due_s, -held.left_s
