"""What the controller is told; the driver says when."""

from dataclasses import dataclass

from safelight.core.request import ImageRequest
from safelight.core.work import Ready, WorkerEvent


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request, already checked against its model."""

    request: ImageRequest


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nobody wants this picture any more."""

    request_id: str


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is ready; `worker` is a name that no other worker has or ever had."""

    worker: str
    ready: Ready


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker is gone with all that it held; `reason` is fit for users."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker has said something."""

    worker: str
    event: WorkerEvent


@dataclass(frozen=True, slots=True)
class DrainBegan:
    """From now on nothing new is taken; what was accepted goes on."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing else has happened; the driver sends this now and then, so that waiting in vain has an end."""


Event = Arrived | Withdrawn | WorkerJoined | WorkerLeft | Reported | DrainBegan | TimePassed
