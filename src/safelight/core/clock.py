"""The one way to ask what time it is."""

from typing import Protocol


class Clock(Protocol):
    """A source of time that never goes back."""

    def now_s(self) -> float:
        """Return seconds since some fixed point."""
        ...
