"""What the controller is told; the driver says when."""

from dataclasses import dataclass

from safelight.core.request import ImageRequest
from safelight.core.work import Ready, WorkerEvent


@dataclass(frozen=True, slots=True)
class Arrived:
    """Requests that are taken together or not at all."""

    requests: tuple[ImageRequest, ...]


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
    """A worker sent an event."""

    worker: str
    event: WorkerEvent


@dataclass(frozen=True, slots=True)
class AdapterOffered:
    """An adapter lies at `path`; requests may name it once a worker has read it.

    Attributes:
        offer: a name of this offer, for the answer to it.
        is_initial: nothing is ready before the answer.
    """

    offer: str
    name: str
    path: str
    is_initial: bool = False


@dataclass(frozen=True, slots=True)
class AdapterRemoved:
    """No new request may name this adapter; `offer` is for the answer."""

    offer: str
    name: str


@dataclass(frozen=True, slots=True)
class PartChanged:
    """Another part of the service is ready or no longer is; `missing` says what is not there, for users."""

    part: str
    missing: str | None


@dataclass(frozen=True, slots=True)
class DrainBegan:
    """From now on nothing new is taken; what was accepted goes on."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing else has happened; the driver sends this at `next_wakeup_s`."""


Event = (
    Arrived
    | Withdrawn
    | WorkerJoined
    | WorkerLeft
    | Reported
    | AdapterOffered
    | AdapterRemoved
    | PartChanged
    | DrainBegan
    | TimePassed
)
