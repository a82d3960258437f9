"""Prometheus metrics of late and of paused pictures, and of the outcome log."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from safelight.core.outcome import Outcome

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Buckets for times of whole pictures."""


class OutcomeMetrics:
    """Counts pictures that are late or were paused, and lines of the outcome log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._late = Counter(
            "safelight_late_pictures", "Pictures delivered after their deadlines.", ["model"], registry=registry
        )
        self._late_s = Histogram(
            "safelight_late_seconds",
            "From the deadline to the picture, of late pictures.",
            ["model"],
            buckets=SECONDS,
            registry=registry,
        )
        self._pauses = Counter(
            "safelight_pauses",
            "Pictures stopped between two steps, to go on later or in another worker.",
            ["model"],
            registry=registry,
        )
        self._lines = Counter("safelight_outcome_lines", "Lines written to the outcome log.", registry=registry)
        self._lines_lost = Counter(
            "safelight_outcome_lines_lost", "Lines of the outcome log that could not be written.", registry=registry
        )

    def ended(self, outcome: Outcome) -> None:
        """Count the pauses of a request that has ended."""
        for stage in outcome.stages:
            if stage.pauses:
                self._pauses.labels(stage.level.model).inc(stage.pauses)

    def delivered(self, outcome: Outcome) -> None:
        """Count a picture that may be late."""
        if outcome.late_s > 0:
            self._late.labels(outcome.level.model).inc()
            self._late_s.labels(outcome.level.model).observe(outcome.late_s)

    def lines_written(self, lines: int) -> None:
        """Count lines of the outcome log; safe in any thread."""
        self._lines.inc(lines)

    def lines_lost(self, lines: int) -> None:
        """Count lines that the outcome log has lost; safe in any thread."""
        self._lines_lost.inc(lines)
