"""How much of a full worker's time requests take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from safelight.control.batch import Kind
from safelight.control.worker_state import WorkerState
from safelight.control.workers import COMPARED_WORKERS, Workers
from safelight.core.level import Level
from safelight.core.request import ImageRequest

RATES_HOLD_S: Final = 1.0
"""How long a computed work rate is used before it is computed again."""

LEAST_DRIFT: Final = 0.05
"""A rate that has changed by a smaller share stays, so that sums of work stay right."""


@dataclass(frozen=True, kw_only=True)
class WorkRate:
    """Seconds of one worker's time for a picture of one kind, in full calls of `max_rows` rows.

    Attributes:
        lora_slowdown: how many times longer a step with LoRAs takes at most.
    """

    step_row_s: float
    encode_s: float
    encode_source_s: float
    decode_s: float
    max_rows: int
    lora_slowdown: float = 1.0
    switch_s: float = 0.0

    def step_s(self, request: ImageRequest, level: Level) -> float:
        """Return the seconds of one step."""
        return self.step_row_s * level.denoiser_rows * (self.lora_slowdown if request.loras else 1.0)

    def work_s(self, request: ImageRequest, level: Level) -> float:
        """Return the seconds of a stage."""
        encode_s = self.encode_s if request.source is None else self.encode_source_s
        switch_s = self.switch_s if request.loras else 0.0
        return switch_s + encode_s + level.steps_to_run * self.step_s(request, level) + self.decode_s

    def service_s(self, request: ImageRequest, level: Level) -> float:
        """Return the seconds from the start of a stage to its end, while other rows fill the calls."""
        return self.work_s(request, level) * self.stretch(level)

    def stretch(self, level: Level) -> float:
        """Return how many times longer a stage takes while other rows fill the calls."""
        return max(1.0, self.max_rows / level.denoiser_rows)


class WorkRates:
    """The rates of the kinds that were asked for, as the workers show them."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._rates: dict[Kind, tuple[float, WorkRate]] = {}
        self.has_drifted = False

    def clear(self) -> None:
        self._rates.clear()

    def rate(self, kind: Kind, now: float) -> WorkRate | None:
        """Return the rate of a kind, or None while no worker serves it; sets `has_drifted` if it has changed."""
        known = self._rates.get(kind)
        if known is not None and now - known[0] < RATES_HOLD_S:
            return known[1]
        serving = self._workers.serving(kind[0])
        if not serving:
            return None
        rate = _mean_rate(kind, serving[:COMPARED_WORKERS])
        if known is not None:
            if abs(rate.step_row_s - known[1].step_row_s) <= LEAST_DRIFT * known[1].step_row_s:
                rate = known[1]
            else:
                self.has_drifted = True
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
    costs = profile.adapter_costs
    return WorkRate(
        step_row_s=len(slowness) / sum(1 / seconds for seconds in slowness) if min(slowness) > 0 else 0.0,
        encode_s=profile.encoding_s(width=width, height=height, has_source=False),
        encode_source_s=profile.encoding_s(width=width, height=height, has_source=True),
        decode_s=profile.decoding_s(width=width, height=height),
        max_rows=max(worker.max_denoiser_rows for worker in workers),
        lora_slowdown=1.0 if costs is None else 1 + max(costs.unmerged_overhead, costs.correction_overhead),
        switch_s=0.0 if costs is None else costs.switch_s,
    )
