"""The protocol of clocks."""

from typing import Protocol


class Clock(Protocol):
    """A source of time that never goes back."""

    def now_s(self) -> float:
        """Return seconds since some fixed point."""
        ...
