"""Shortest remaining work first, with a bound on age."""

from dataclasses import dataclass
from typing import ClassVar, Final

from safelight.control.order.protocol import PATIENCE_S, Place
from safelight.core.request import ImageRequest

WEIGHT: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class ShortestRemaining:
    """Shortest work first, but none overtakes a request that came more than `patience_s` seconds earlier.

    A place is the arrival plus `weight` times the work, at most plus the patience (shortest remaining processing time:
    Schrage, 1968; with ageing).

    Attributes:
        weight: how many seconds later a request may arrive for each second less of work.
    """

    name: ClassVar[str] = "shortest-remaining"
    weighs: ClassVar[bool] = True
    patience_s: float = PATIENCE_S
    weight: float = WEIGHT

    def place(self, request: ImageRequest, sequence: int, *, service_s: float = 0.0) -> Place:
        return (request.arrived_s + min(self.weight * service_s, self.patience_s), service_s, sequence)
