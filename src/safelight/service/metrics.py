"""Prometheus metrics, in a registry of their own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from safelight.core.outcome import Outcome
from safelight.core.work import Ticked
from safelight.service.body_metrics import BodyMetrics
from safelight.service.cascade_metrics import CascadeMetrics
from safelight.service.outcome_metrics import SECONDS, OutcomeMetrics
from safelight.service.reuse.metrics import ReuseMetrics
from safelight.service.worker_metrics import WorkerMetrics

_STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counts events; `exposition` returns the counts in Prometheus's text format."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.of_workers = WorkerMetrics(self._registry)
        self._of_model: dict[str, tuple[Histogram, Histogram]] = {}
        self._waiting = Gauge("safelight_queue_depth", "Pictures waiting for a worker.", registry=self._registry)
        self._running = Gauge("safelight_running", "Pictures being painted.", registry=self._registry)
        self._workers = Gauge("safelight_workers_ready", "Workers that are ready and respond.", registry=self._registry)
        self._restarts = Counter(
            "safelight_worker_restarts", "Workers started again after they died.", registry=self._registry
        )
        self._pictures = Counter(
            "safelight_pictures", "Requests that have ended, by how.", ["model", "status"], registry=self._registry
        )
        self._rejections = Counter(
            "safelight_rejections", "Requests refused, by reason.", ["reason"], registry=self._registry
        )
        self._wait = Histogram(
            "safelight_queue_wait_seconds",
            "From arrival to the first step, of finished pictures.",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._total = Histogram(
            "safelight_picture_seconds",
            "From arrival to the picture.",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._step = Histogram(
            "safelight_step_seconds", "One denoiser call.", ["model"], buckets=_STEP_SECONDS, registry=self._registry
        )
        self._rows = Histogram(
            "safelight_batch_rows",
            "Denoiser rows of one call.",
            ["model"],
            buckets=_ROWS,
            registry=self._registry,
        )

        self._mixed = Counter(
            "safelight_mixed_calls",
            "Denoiser calls whose pictures were of several sizes.",
            ["model"],
            registry=self._registry,
        )
        self._bare_steps = Counter(
            "safelight_steps_without_loras",
            "Steps of finished pictures that ran before their LoRAs were loaded.",
            ["model"],
            registry=self._registry,
        )
        self.of_bodies = BodyMetrics(self._registry)
        self.of_outcomes = OutcomeMetrics(self._registry)
        self.of_cascades = CascadeMetrics(self._registry)
        self.of_reuse = ReuseMetrics(self._registry)

    @property
    def registry(self) -> CollectorRegistry:
        """Where other parts register their metrics."""
        return self._registry

    def watch(self, *, waiting: Callable[[], int], running: Callable[[], int], workers: Callable[[], int]) -> None:
        """Use these functions for the current values at each scrape."""
        self._waiting.set_function(waiting)
        self._running.set_function(running)
        self._workers.set_function(workers)

    def ticked(self, tick: Ticked) -> None:
        """Count one denoiser call."""
        known = self._of_model.get(tick.model)
        if known is None:
            known = self._of_model[tick.model] = (self._step.labels(tick.model), self._rows.labels(tick.model))
        step, rows = known
        step.observe(tick.seconds)
        rows.observe(tick.denoiser_rows)
        if tick.sizes > 1:
            self._mixed.labels(tick.model).inc()

    def ended(self, outcome: Outcome) -> None:
        """Count one request that has ended."""
        model = outcome.level.model
        self._pictures.labels(model, outcome.status).inc()
        self.of_outcomes.ended(outcome)
        if outcome.status == "rejected":
            self.refused(outcome.reason)
        if outcome.status == "finished":
            self._wait.labels(model).observe(outcome.queue_s)
            self._total.labels(model).observe(outcome.total_s)
            self._bare_steps.labels(model).inc(outcome.steps_without_loras)
            self.of_outcomes.delivered(outcome)
            self.of_cascades.delivered(outcome)

    def refused(self, reason: str) -> None:
        """Count one request that was refused."""
        self._rejections.labels(reason).inc()

    def worker_restarted(self) -> None:
        """Count one worker started again."""
        self._restarts.inc()

    def register(self, collector: Collector) -> None:
        """Add what another part counts."""
        self._registry.register(collector)

    def exposition(self) -> bytes:
        """Return all numbers in Prometheus's text format."""
        return generate_latest(self._registry)
