"""A share that follows the load without flapping."""

from typing import Final

BAND: Final = 0.05
RISE_S: Final = 3.0


class SteadyShare:
    """Keeps a share within a band of what the load allows: it falls at once, and rises only after a while.

    A share that is allowed to rise rises to the least that was allowed meanwhile. So it turns upwards at most once in
    `rise_s`, whatever the load does.
    """

    def __init__(self) -> None:
        self._share: float | None = None
        self._rising_s: float | None = None
        self._least = 1.0

    def settle(self, allowed: float, now: float, *, band: float = BAND, rise_s: float = RISE_S) -> float:
        """Return the share in force, now that the load allows `allowed`."""
        if self._share is None or allowed < self._share - band or allowed <= 0:
            self._share, self._rising_s = allowed, None
            return allowed
        if allowed <= self._share + band and allowed < 1:
            self._rising_s = None
            return self._share
        if self._rising_s is None:
            self._rising_s, self._least = now, allowed
        self._least = min(self._least, allowed)
        if now - self._rising_s >= rise_s:
            self._share, self._rising_s = max(self._share, self._least), None
        return self._share
