"""Prometheus metrics of request bodies."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class BodyMetrics:
    """Shows the bytes of request bodies in memory, and counts requests that were refused for theirs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._held = Gauge("safelight_body_bytes_held", "Bytes of request bodies held in memory.", registry=registry)
        self._budget = Gauge(
            "safelight_body_bytes_budget", "Bytes of request bodies that may be held.", registry=registry
        )
        self._refused = Counter(
            "safelight_bodies_refused",
            "Requests refused for their address, encoding or body, by the code of the error.",
            ["reason"],
            registry=registry,
        )

    def watch(self, *, held_bytes: Callable[[], int], budget_bytes: int) -> None:
        """Use this function at each scrape; at most `budget_bytes` are held."""
        self._held.set_function(held_bytes)
        self._budget.set(budget_bytes)

    def refused(self, reason: str) -> None:
        """Count one request."""
        self._refused.labels(reason).inc()
