"""Prometheus metrics of cascades: which models painted, what gates said, which promises were kept."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from safelight.core.outcome import Outcome
from safelight.core.quality import quality_of

SCORES: Final = tuple(tenth / 10 for tenth in range(1, 11))
"""Buckets for scores of gates."""


class CascadeMetrics:
    """Counts pictures of cascades."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pictures = Counter(
            "safelight_cascade_pictures",
            "Pictures of cascades, by the models that painted them and why.",
            ["cascade", "levels", "reason"],
            registry=registry,
        )
        self._scores = Histogram(
            "safelight_gate_score",
            "Probability that a light picture is good enough, by its gate.",
            ["gate"],
            buckets=SCORES,
            registry=registry,
        )
        self._promises = Counter(
            "safelight_quality_promises",
            "Pictures with a promised least quality, by whether it was kept.",
            ["cascade", "kept"],
            registry=registry,
        )

    def delivered(self, outcome: Outcome) -> None:
        """Count a finished picture, if it was for a cascade."""
        if outcome.route.cascade is None:
            return
        quality = quality_of(outcome)
        self._pictures.labels(quality.cascade, " > ".join(quality.levels), quality.reason).inc()
        if quality.gate is not None and quality.gate_score is not None:
            self._scores.labels(quality.gate).observe(quality.gate_score)
        if quality.promise is not None:
            self._promises.labels(quality.cascade, "yes" if quality.kept_promise else "no").inc()
