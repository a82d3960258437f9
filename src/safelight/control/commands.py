"""What the controller wants done; the driver does it, in this order.

Every request that arrives ends in exactly one of `Reject`, `Deliver`, `GiveUp` and `Dismissed`.
"""

from dataclasses import dataclass

from safelight.core.adapter import AdapterSpec
from safelight.core.errors import Rejected, RequestError, SafelightError, WorkFailed
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, WorkerCommand


@dataclass(frozen=True, slots=True)
class Reject:
    """The request is not taken; one that can never be served has no outcome."""

    request: ImageRequest
    error: Rejected | RequestError
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to this worker."""

    worker: str
    command: WorkerCommand


@dataclass(frozen=True, slots=True)
class Deliver:
    """The picture is ready."""

    request: ImageRequest
    finished: Finished
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The request was accepted but there will be no picture."""

    request: ImageRequest
    error: WorkFailed
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The withdrawal has taken effect; the request holds nothing any more."""

    request: ImageRequest
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AnswerOffer:
    """What became of an offer of an adapter, or of a removal: what it is, or why it cannot be."""

    offer: str
    result: AdapterSpec | SafelightError


Command = Reject | Send | Deliver | GiveUp | Dismissed | AnswerOffer
