"""Prometheus metrics of reuse."""

from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from safelight.core.reuse import Reused
from safelight.service.reuse.disk import DiskFault

LookupResult = Literal["exact", "approximate", "vetoed", "miss", "bypassed"]
EvictionReason = Literal["room", "age", "purge", "lost"]

_LOOKUP_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)


class ReuseMetrics:
    """Counts look-ups, savings and evictions; no label has a value that a client can choose freely."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._found = dict[str, float]()
        self._saved_steps = dict[str, float]()
        self._saved_s = dict[str, float]()
        self._lookups = Counter(
            "safelight_reuse_lookups",
            "Requests that allow reuse, by what was found.",
            ["result"],
            registry=registry,
        )
        self._starts = Counter(
            "safelight_reuse_starts",
            "Pictures started from earlier latents, by noise level in tenths.",
            ["noise"],
            registry=registry,
        )
        self._prompts = Counter(
            "safelight_prompt_encodings",
            "Prompts of finished pictures, by whether they were encoded or known from before.",
            ["result"],
            registry=registry,
        )
        for result in ("encoded", "known"):
            self._prompts.labels(result)
        self._steps = Counter("safelight_reuse_steps_saved", "Steps not run.", ["tier"], registry=registry)
        self._seconds = Counter(
            "safelight_reuse_seconds_saved",
            "Compute not spent, as the earlier pictures took it.",
            ["tier"],
            registry=registry,
        )
        self._evictions = Counter(
            "safelight_reuse_evictions", "Earlier pictures dropped, by why.", ["reason"], registry=registry
        )
        self._faults = Counter(
            "safelight_reuse_disk_faults",
            "Reads and writes of the reuse cache that failed or took too long; each is a miss.",
            ["fault"],
            registry=registry,
        )
        self._lookup_s = Histogram(
            "safelight_reuse_lookup_seconds",
            "Look-up of one call, with reading.",
            buckets=_LOOKUP_SECONDS,
            registry=registry,
        )
        self._entries = Gauge("safelight_reuse_entries", "Earlier pictures that are kept.", registry=registry)
        self._bytes = Gauge("safelight_reuse_bytes", "Bytes of earlier pictures.", ["place"], registry=registry)

    def watch(self, *, entries: Callable[[], int], ram_bytes: Callable[[], int], all_bytes: Callable[[], int]) -> None:
        """Use these functions for the current values at each scrape."""
        self._entries.set_function(entries)
        self._bytes.labels("ram").set_function(ram_bytes)
        self._bytes.labels("all").set_function(all_bytes)

    @property
    def totals(self) -> dict[str, dict[str, float]]:
        """All look-ups by result, and what was saved by tier."""
        return {"lookups": self._found, "steps_saved": self._saved_steps, "seconds_saved": self._saved_s}

    def looked_up(self, result: LookupResult) -> None:
        """Count one request."""
        self._lookups.labels(result).inc()
        _add(self._found, result, 1)

    def encoded(self, *, knew_prompt: bool) -> None:
        """Count the prompt of a finished picture."""
        self._prompts.labels("known" if knew_prompt else "encoded").inc()

    def took(self, seconds: float) -> None:
        """Note the time of a look-up."""
        self._lookup_s.observe(seconds)

    def saved(self, reused: Reused) -> None:
        """Count what a picture did not cost."""
        self._steps.labels(reused.tier).inc(reused.steps_saved)
        self._seconds.labels(reused.tier).inc(reused.saved_s)
        _add(self._saved_steps, reused.tier, reused.steps_saved)
        _add(self._saved_s, reused.tier, reused.saved_s)
        if reused.noise is not None:
            self._starts.labels(f"{reused.noise:.1f}").inc()

    def evicted(self, reason: EvictionReason, count: int) -> None:
        """Count dropped pictures."""
        self._evictions.labels(reason).inc(count)

    def failed(self, fault: DiskFault) -> None:
        """Count a fault of the disk."""
        self._faults.labels(fault).inc()


def _add(totals: dict[str, float], name: str, more: float) -> None:
    totals[name] = totals.get(name, 0) + more
