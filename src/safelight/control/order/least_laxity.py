"""Least laxity first."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.order.protocol import PATIENCE_S, Place
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class LeastLaxity:
    """Least time to spare first: the deadline less the time that the request takes (Mok, 1983).

    While requests wait, their laxities shrink alike, so places stay. A request counts as due at most `patience_s`
    seconds after its arrival.
    """

    name: ClassVar[str] = "least-laxity"
    weighs: ClassVar[bool] = True
    patience_s: float = PATIENCE_S

    def place(self, request: ImageRequest, sequence: int, *, service_s: float = 0.0) -> Place:
        latest_s = request.arrived_s + self.patience_s
        start_s = latest_s if request.deadline_s is None else max(request.arrived_s, request.due_s - service_s)
        return (min(start_s, latest_s), request.arrived_s, sequence)
