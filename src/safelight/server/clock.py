"""The real clock."""

import time


class MonotonicClock:
    """Seconds since this machine started; worker processes read the same clock."""

    def now_s(self) -> float:
        """Return the time now."""
        return time.monotonic()
