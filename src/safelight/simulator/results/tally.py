"""Adds up outcomes as they come, in little memory."""

from array import array
from collections import Counter
from collections.abc import Callable

import numpy as np

from safelight.core.level import Level
from safelight.core.outcome import Outcome
from safelight.simulator.results.figures import Counters, Figures
from safelight.simulator.results.timeline import PeriodFigures, QualityOfMix, Timeline

QualityOf = Callable[[Level], float | None]
"""The quality of the pictures of a level, where it is known."""


GainOf = Callable[[Outcome], float]
"""By how much the picture of a request that has finished is better than the mean of its level."""


class Tally:
    """The figures of a run, as far as it is; each finished request takes 24 bytes."""

    def __init__(
        self,
        *,
        quality_of: QualityOf,
        quality_of_mix: QualityOfMix | None = None,
        gain_of: GainOf | None = None,
        warmup_s: float = 0.0,
        workers: int = 1,
    ) -> None:
        """Begin with nothing.

        Args:
            quality_of: where it is not known, it gives None.
            quality_of_mix: instead of the mean of qualities.
            gain_of: by how much a request's picture is better than its level; None counts all alike.
            warmup_s: requests that arrive before do not count.
            workers: of the fleet.
        """
        self.timeline = Timeline(workers=workers)
        self._quality_of, self._warmup_s = quality_of, warmup_s
        self._gain_of = gain_of
        self._latencies_s, self._queues_s, self._per_step_s = array("d"), array("d"), array("d")
        self._statuses, self._models = Counter[str](), Counter[str]()
        self._quality_of_mix = quality_of_mix
        self._in_time = self._late = self._retries = self._escalated = self._rated = 0
        self._quality = self._queue_per_step_s = 0.0

    @property
    def ended(self) -> int:
        """How many requests have ended, with those of the warm-up."""
        return self.timeline.ended

    @property
    def periods(self) -> tuple[PeriodFigures, ...]:
        """What happened when."""
        return self.timeline.rows(self._quality_of_mix)

    def add(self, outcome: Outcome) -> None:
        """Count one request that has ended."""
        is_finished, is_in_time = outcome.status == "finished", outcome.met_deadline
        quality = self._quality_of(outcome.level) if is_finished else None
        if quality is not None and self._gain_of is not None:
            quality += self._gain_of(outcome)
        self.timeline.add(outcome, quality)
        if outcome.request.arrived_s < self._warmup_s:
            return
        self._statuses[outcome.status] += 1
        self._in_time += is_in_time
        self._retries += outcome.retries
        if is_finished:
            self._latencies_s.append(outcome.total_s)
            self._queues_s.append(outcome.queue_s)
            self._per_step_s.append(outcome.total_s / outcome.level.steps)
            self._queue_per_step_s += (outcome.total_s - outcome.compute_s) / outcome.level.steps
            self._models[outcome.level.model] += 1
            self._late += not is_in_time
            self._escalated += len(outcome.stages) > 1
            if quality is not None:
                self._quality += quality
                self._rated += 1

    def _quality_of_all(self) -> float | None:
        if self._quality_of_mix is not None:
            return self._quality_of_mix(self._models)
        return self._quality / self._rated if self._rated else None

    def figures(self, counters: Counters) -> Figures:
        """Return all figures."""
        requests, finished = sum(self._statuses.values()), self._statuses["finished"]
        latencies_s = np.frombuffer(self._latencies_s) if finished else None
        percentiles_s = [None] * 3 if latencies_s is None else np.percentile(latencies_s, (50, 95, 99)).tolist()
        attainment = self._in_time / requests if requests else None
        lasted_s = counters.end_s - self._warmup_s
        return Figures(
            requests=requests,
            finished=finished,
            refused=self._statuses["rejected"],
            expired=self._statuses["expired"],
            failed=self._statuses["failed"],
            cancelled=self._statuses["cancelled"],
            late=self._late,
            attainment=attainment,
            violations=None if attainment is None else 1 - attainment,
            latency_mean_s=None if latencies_s is None else float(latencies_s.mean()),
            latency_p50_s=percentiles_s[0],
            latency_p95_s=percentiles_s[1],
            latency_p99_s=percentiles_s[2],
            latency_per_step_mean_s=float(np.frombuffer(self._per_step_s).mean()) if finished else None,
            latency_per_step_p90_s=float(np.percentile(np.frombuffer(self._per_step_s), 90)) if finished else None,
            queue_per_step_mean_s=self._queue_per_step_s / finished if finished else None,
            queue_mean_s=float(np.frombuffer(self._queues_s).mean()) if finished else None,
            throughput_per_s=finished / lasted_s if lasted_s > 0 else None,
            quality=self._quality_of_all(),
            escalated=self._escalated / finished if finished else None,
            retries=self._retries,
            adapter_loads_per_request=counters.adapter_loads / finished if finished else None,
            merges=counters.merges,
            pauses=counters.pauses,
            moves=counters.moves,
            utilization=counters.busy_s / counters.worker_s if counters.worker_s > 0 else None,
            gpu_s=counters.busy_s,
            end_s=counters.end_s,
            events=counters.events,
            ticks=counters.ticks,
        )
