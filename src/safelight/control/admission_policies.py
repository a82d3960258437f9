"""Admission policies: whether a request is accepted, and if not, when to retry."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from safelight.control.prediction import Prediction
from safelight.control.request_state import RequestState
from safelight.core.errors import DeadlineUnmeetable, Rejected

LEAST_RETRY_S: Final = 1.0
MOST_RETRY_S: Final = 600.0


class AdmissionPolicy(Protocol):
    """Accepts or refuses requests that fit into the queue."""

    @property
    def name(self) -> str: ...

    def refusal(self, request: RequestState, prediction: Prediction, now: float) -> Rejected | None:
        """Return why `request`, which is not queued yet, is refused, or None to accept it."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeadlineAdmission:
    """Refuse what would miss its deadline or make others miss theirs; accept what has no deadline or no forecast."""

    name: ClassVar[str] = "deadline"

    def refusal(self, request: RequestState, prediction: Prediction, now: float) -> Rejected | None:
        deadline_s, due_s = request.request.deadline_s, request.request.due_s
        if deadline_s is None:
            return None
        finish_s = prediction.promise_s(request, now)
        if finish_s is None:
            return None
        if finish_s > due_s:
            finish_s = prediction.finish_s(request, now) or finish_s
        elif prediction.lacks_room(request):
            finish_s = prediction.finish_behind_all_s(request, now)
        elif prediction.probes(request, now):
            return None
        return DeadlineUnmeetable(
            deadline_s=deadline_s, expected_s=finish_s - now, retry_after_s=retry_in(finish_s - due_s)
        )


@dataclass(frozen=True, kw_only=True)
class OpenAdmission:
    """Accept every request; deadlines only order the queue."""

    name: ClassVar[str] = "open"

    def refusal(self, request: RequestState, prediction: Prediction, now: float) -> Rejected | None:
        return None


ADMISSION_POLICIES: Final[tuple[AdmissionPolicy, ...]] = (DeadlineAdmission(), OpenAdmission())


def retry_in(seconds: float) -> float:
    """Return `seconds` within the limits of a Retry-After."""
    return min(max(seconds, LEAST_RETRY_S), MOST_RETRY_S)
