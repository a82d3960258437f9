"""First come, first served."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.order.protocol import Place
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class ArrivalOrder:
    """First come, first served."""

    name: ClassVar[str] = "arrival"
    weighs: ClassVar[bool] = False
    patience_s: ClassVar[float] = 0.0

    def place(self, request: ImageRequest, sequence: int, *, service_s: float = 0.0) -> Place:
        return (request.arrived_s, sequence)
