"""What the controller wants done; the driver does it, in this order.

Every request that arrives ends in exactly one of `Reject`, `Deliver`, `GiveUp` and `Dismissed`.
"""

from dataclasses import dataclass

from safelight.core.errors import Rejected, WorkFailed
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Finished, Job


@dataclass(frozen=True, slots=True)
class Reject:
    """The request is not taken."""

    request: ImageRequest
    error: Rejected
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Assign:
    """Send this job to this worker."""

    worker: str
    job: Job


@dataclass(frozen=True, slots=True)
class Recall:
    """Tell this worker to drop this request."""

    worker: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Foretell:
    """Tell this worker which adapters the requests that wait will need, soonest first, in the place of earlier word."""

    worker: str
    adapters: tuple[str, ...]


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


Command = Reject | Assign | Recall | Foretell | Deliver | GiveUp | Dismissed
