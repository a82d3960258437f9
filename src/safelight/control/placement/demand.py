"""How often compositions of adapters are asked for."""

from collections.abc import Mapping
from typing import Final

from safelight.core.adapter import AdapterHandle

HALF_LIFE_S: Final = 600.0
LEAST_COUNT: Final = 0.01

Adapters = tuple[AdapterHandle, ...]


class AdapterDemand:
    """Counts requests by their adapters; a request counts half as much after each half-life."""

    def __init__(self, half_life_s: float = HALF_LIFE_S) -> None:
        self._half_life_s = half_life_s
        self._counts: dict[Adapters, float] = {}
        self._since_s = 0.0

    def requested(self, adapters: Adapters, now: float) -> None:
        """Count a request that needs these adapters, or none."""
        if now - self._since_s > self._half_life_s:
            self._fade(now)
        self._counts[adapters] = self._counts.get(adapters, 0.0) + self._weight(now)

    def counts(self, now: float) -> Mapping[Adapters, float]:
        """Return the count of each set of adapters; that of requests without adapters is by the empty set."""
        weight = self._weight(now)
        return {adapters: count / weight for adapters, count in self._counts.items()}

    def by_adapter(self, now: float) -> Mapping[AdapterHandle, float]:
        """Return the count of each adapter."""
        counts: dict[AdapterHandle, float] = {}
        for adapters, count in self.counts(now).items():
            for handle in adapters:
                counts[handle] = counts.get(handle, 0.0) + count
        return counts

    def _weight(self, now: float) -> float:
        """Return the weight of a request at `now`; earlier ones count less since later ones weigh more."""
        return float(2.0 ** ((now - self._since_s) / self._half_life_s))

    def _fade(self, now: float) -> None:
        self._counts = {adapters: count for adapters, count in self.counts(now).items() if count >= LEAST_COUNT}
        self._since_s = now
