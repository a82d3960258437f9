"""Commands of the controller, which the service executes in order.

Every request that arrives ends in exactly one of `Reject`, `Deliver`, `GiveUp` and `Dismissed`.
"""

import msgspec

from safelight.core.adapter import AdapterSpec
from safelight.core.errors import ExtensionError, Rejected, RequestError, SafelightError, WorkFailed
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, WorkerCommand


class Reject(msgspec.Struct, frozen=True):
    """The request is refused; one that can never be served, or that a policy failed to judge, has no outcome."""

    request: ImageRequest
    error: Rejected | RequestError | ExtensionError
    outcome: Outcome | None


class Send(msgspec.Struct, frozen=True):
    """Send this to this worker."""

    worker: str
    command: WorkerCommand


class Kill(msgspec.Struct, frozen=True):
    """End this worker, which hangs; `WorkerLeft` follows, and what it finishes until then counts."""

    worker: str
    reason: str


class WorkerChanged(msgspec.Struct, frozen=True):
    """From now on this worker gets no new work, for this reason; or it works again, without a reason."""

    worker: str
    is_suspected: bool
    reason: str


class Deliver(msgspec.Struct, frozen=True):
    """The picture is ready."""

    request: ImageRequest
    finished: Finished
    outcome: Outcome


class Escalated(msgspec.Struct, frozen=True):
    """The gate has not accepted a picture of a request with previews, and the next level paints it again."""

    request: ImageRequest
    finished: Finished


class GiveUp(msgspec.Struct, frozen=True):
    """The request was accepted but there will be no picture."""

    request: ImageRequest
    error: WorkFailed
    outcome: Outcome


class Dismissed(msgspec.Struct, frozen=True):
    """The withdrawal has taken effect; the request uses no resources any more."""

    request: ImageRequest
    outcome: Outcome


class AnswerOffer(msgspec.Struct, frozen=True):
    """The result of an offer or a removal of an adapter: its spec, or an error."""

    offer: str
    result: AdapterSpec | SafelightError


Command = Reject | Send | Kill | WorkerChanged | Deliver | Escalated | GiveUp | Dismissed | AnswerOffer
