"""The real clock."""

import time


class MonotonicClock:
    """Seconds since this machine started; worker processes read the same clock."""

    def now_s(self) -> float:
        """Return the time now."""
        return time.monotonic()

    def epoch_s(self) -> float:
        """Return the Unix time at which this clock was 0, by the current wall clock."""
        return time.time() - time.monotonic()
