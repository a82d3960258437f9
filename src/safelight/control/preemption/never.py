"""No picture pauses."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.preemption.protocol import Preemption, PreemptionView
from safelight.control.request_state import RequestState


@dataclass(frozen=True, kw_only=True)
class Never:
    """A worker keeps what it has until it is finished."""

    name: ClassVar[str] = "never"

    def choose(self, request: RequestState, view: PreemptionView) -> Preemption | None:
        return None
