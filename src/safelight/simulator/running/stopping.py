"""How a simulation is asked to end early."""

from typing import Protocol


class Stop(Protocol):
    """Says whether the end was asked for."""

    @property
    def is_set(self) -> bool: ...


class StopRequest:
    """A flag that a signal handler may set."""

    def __init__(self) -> None:
        self._is_set = False

    @property
    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Ask for the end."""
        self._is_set = True
