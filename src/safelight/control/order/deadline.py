"""Earliest deadline first."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.order.protocol import PATIENCE_S, Place
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class DeadlineOrder:
    """Earliest due first; a request counts as due at most `patience_s` seconds after its arrival."""

    name: ClassVar[str] = "deadline"
    weighs: ClassVar[bool] = False
    patience_s: float = PATIENCE_S

    def place(self, request: ImageRequest, sequence: int, *, service_s: float = 0.0) -> Place:
        return (min(request.due_s, request.arrived_s + self.patience_s), request.arrived_s, sequence)
