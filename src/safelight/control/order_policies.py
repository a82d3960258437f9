"""Who goes first."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from safelight.core.request import ImageRequest

PATIENCE_S: Final = 30.0

Place = tuple[float, ...]
"""A place in the queue, compared number by number; the last one is a sequence number that no other request has."""


class OrderPolicy(Protocol):
    """Gives each request a place in the queue, once and for all.

    Attributes:
        patience_s: whoever arrives more than so many seconds later comes behind, so that nobody waits for ever.
    """

    @property
    def name(self) -> str: ...

    @property
    def patience_s(self) -> float: ...

    def place(self, request: ImageRequest, sequence: int) -> Place:
        """Return the place of `request`; smaller goes first."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeadlineOrder:
    """Earliest due first; a request counts as due at most `patience_s` seconds after its arrival."""

    name: ClassVar[str] = "deadline"
    patience_s: float = PATIENCE_S

    def place(self, request: ImageRequest, sequence: int) -> Place:
        return (min(request.due_s, request.arrived_s + self.patience_s), request.arrived_s, sequence)


@dataclass(frozen=True, kw_only=True)
class ArrivalOrder:
    """First come, first served."""

    name: ClassVar[str] = "arrival"
    patience_s: ClassVar[float] = 0.0

    def place(self, request: ImageRequest, sequence: int) -> Place:
        return (request.arrived_s, sequence)


ORDER_POLICIES: Final[tuple[OrderPolicy, ...]] = (DeadlineOrder(), ArrivalOrder())
