"""Metrics of keys: wrong ones, and the state of the keys file."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class AccessMetrics:
    """Counts events, in the registry of the service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._wrong_keys = Counter(
            "safelight_wrong_keys",
            "Requests with a wrong key, by answer: refused (401), or limited (429).",
            ["answer"],
            registry=registry,
        )
        self._reads = Counter(
            "safelight_keys_file_reads",
            "Changes of the keys file, by result: loaded, or refused.",
            ["result"],
            registry=registry,
        )
        self._broken = Gauge(
            "safelight_keys_file_broken",
            "1 while the keys file cannot be used, so that the keys before it hold.",
            registry=registry,
        )

    def watch(self, *, is_broken: Callable[[], bool]) -> None:
        """Use this function for the state of the keys file at each scrape."""
        self._broken.set_function(is_broken)

    def wrong_key(self, *, is_limited: bool) -> None:
        """Count one request with a wrong key."""
        self._wrong_keys.labels("limited" if is_limited else "refused").inc()

    def file_read(self, result: str) -> None:
        """Count one change of the keys file."""
        self._reads.labels(result).inc()
