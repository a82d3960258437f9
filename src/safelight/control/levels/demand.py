"""How many requests arrive in a second, lately."""

import math
from typing import Final

MEMORY_S: Final = 5.0
LEAST_SEEN_S: Final = 1.0


class DemandEstimate:
    """The rate of arrivals, which forgets exponentially within `memory_s` seconds.

    At first it divides by the time that has passed, but at least by `LEAST_SEEN_S`, so that it is not too low.
    """

    def __init__(self, *, memory_s: float = MEMORY_S) -> None:
        self._memory_s = memory_s
        self._weight = 0.0
        self._last_s = 0.0
        self._first_s: float | None = None

    def arrived(self, now: float) -> None:
        """Count one request."""
        if self._first_s is None:
            self._first_s = now
        self._weight = self._weight_at(now) + 1.0
        self._last_s = now

    def rate_per_s(self, now: float) -> float:
        """Return the requests in a second."""
        if self._first_s is None:
            return 0.0
        seen_s = self._memory_s * (1.0 - math.exp(-(now - self._first_s) / self._memory_s))
        return self._weight_at(now) / max(seen_s, LEAST_SEEN_S)

    def _weight_at(self, now: float) -> float:
        return self._weight * math.exp(-(now - self._last_s) / self._memory_s)
