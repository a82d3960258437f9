"""Commands of the controller, which the service executes in order.

Every request that arrives ends in exactly one of `Reject`, `Deliver`, `GiveUp` and `Dismissed`.
"""

from dataclasses import dataclass

from safelight.core.adapter import AdapterSpec
from safelight.core.errors import ExtensionError, Rejected, RequestError, SafelightError, WorkFailed
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, WorkerCommand


@dataclass(frozen=True, slots=True)
class Reject:
    """The request is refused; one that can never be served, or that a policy failed to judge, has no outcome."""

    request: ImageRequest
    error: Rejected | RequestError | ExtensionError
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to this worker."""

    worker: str
    command: WorkerCommand


@dataclass(frozen=True, slots=True)
class Kill:
    """End this worker, which hangs; `WorkerLeft` follows, and what it finishes until then counts."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerChanged:
    """From now on this worker gets no new work, for this reason; or it works again, without a reason."""

    worker: str
    is_suspected: bool
    reason: str


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
    """The withdrawal has taken effect; the request uses no resources any more."""

    request: ImageRequest
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AnswerOffer:
    """The result of an offer or a removal of an adapter: its spec, or an error."""

    offer: str
    result: AdapterSpec | SafelightError


Command = Reject | Send | Kill | WorkerChanged | Deliver | GiveUp | Dismissed | AnswerOffer
