"""Prometheus metrics of the life of workers."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

LossReason = Literal["died", "hung", "start_failed"]


class WorkerMetrics:
    """Counts workers that hang, die, or do not start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._suspected = Gauge(
            "safelight_workers_suspected", "Workers that do not respond, and get no new work.", registry=registry
        )
        self._hung = Counter("safelight_workers_hung", "Workers killed because they hung.", registry=registry)
        self._lost = Counter(
            "safelight_workers_lost", "Workers that have ended, by why.", ["reason"], registry=registry
        )
        self._start_failures = Counter(
            "safelight_worker_start_failures", "Starts of workers that have failed.", registry=registry
        )
        for reason in ("died", "hung", "start_failed"):
            self._lost.labels(reason)

    def watch(self, *, suspected: Callable[[], int]) -> None:
        """Use this function for the current value at each scrape."""
        self._suspected.set_function(suspected)

    def hung(self) -> None:
        """Count one worker that is killed because it hangs."""
        self._hung.inc()

    def lost(self, reason: LossReason) -> None:
        """Count one worker that has ended."""
        self._lost.labels(reason).inc()

    def start_failed(self) -> None:
        """Count one start that has failed."""
        self._start_failures.inc()
