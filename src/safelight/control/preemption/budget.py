"""Limits how often forecasts of preemptions fail, so that refusals stay cheap under overload."""

from typing import Final

FAILURES_PER_S: Final = 10.0
MOST_FAILURES: Final = 20.0


class ForecastBudget:
    """A bucket of failures that fills again with time."""

    def __init__(self, *, per_s: float = FAILURES_PER_S, most: float = MOST_FAILURES) -> None:
        self._per_s = per_s
        self._most = most
        self._left = most
        self._filled_s = 0.0

    def is_left(self, now: float) -> bool:
        """Return whether another forecast may fail."""
        self._left = min(self._most, self._left + (now - self._filled_s) * self._per_s)
        self._filled_s = now
        return self._left >= 1

    def failed(self) -> None:
        """Note that a forecast has shown no gain."""
        self._left -= 1
