"""Order policies: the places of requests in the queue."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

import msgspec

from safelight.core.request import ImageRequest

PATIENCE_S: Final = 30.0

Place = tuple[float, ...]
"""A place in the queue, compared number by number; the last number is a unique sequence number."""


class OrderPolicy(Protocol):
    """Gives each request a fixed place in the queue.

    Attributes:
        patience_s: a request that arrives more than this many seconds later goes behind, so that none waits forever.
            With 0, requests that miss their deadlines keep their places; otherwise see `late_place`.
    """

    @property
    def name(self) -> str: ...

    @property
    def patience_s(self) -> float: ...

    def place(self, request: ImageRequest, sequence: int) -> Place:
        """Return the place of `request`; smaller places go first."""
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


def late_place(order: OrderPolicy, request: ImageRequest, sequence: int) -> Place:
    """Return the place of a request that can no longer meet its deadline.

    It is that of a request without a deadline which arrives when this one is due. So it goes behind all that can be in
    time, and those that arrive more than a patience after it was due go behind it.
    """
    if order.patience_s <= 0 or request.deadline_s is None:
        return order.place(request, sequence)
    return order.place(msgspec.structs.replace(request, deadline_s=None, arrived_s=request.due_s), sequence)
