"""Events for the controller; the service passes them with the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from safelight.core.request import ImageRequest
from safelight.core.work import Ready, WorkerEvent
from safelight.latents.plan import ReusePlan


@dataclass(frozen=True, slots=True)
class Arrived:
    """Requests that are accepted together or not at all.

    Attributes:
        reuse: for some of them, by id, how their first stage reuses earlier latents, or captures its own.
    """

    requests: tuple[ImageRequest, ...]
    reuse: Mapping[str, ReusePlan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """This picture is no longer wanted."""

    request_id: str


@dataclass(frozen=True, slots=True)
class WorkerStarting:
    """A worker begins to load its models; `WorkerJoined` or `WorkerLeft` follows."""

    worker: str


@dataclass(frozen=True, slots=True)
class WorkerHeard:
    """A part of an event of a worker has come, which shows that the worker runs."""

    worker: str


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is ready; its name is never used for another one."""

    worker: str
    ready: Ready


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker has ended, and what it held is lost; `reason` is fit for users."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker sent an event."""

    worker: str
    event: WorkerEvent


@dataclass(frozen=True, slots=True)
class AdapterOffered:
    """An adapter is at `path`; requests may name it once a worker has read it.

    Attributes:
        offer: a name of this offer, which the answer repeats.
        is_initial: whether the service is not ready before the answer.
    """

    offer: str
    name: str
    path: str
    is_initial: bool = False


@dataclass(frozen=True, slots=True)
class AdapterRemoved:
    """No new request may name this adapter; the answer repeats `offer`."""

    offer: str
    name: str


@dataclass(frozen=True, slots=True)
class PartChanged:
    """Another part of the service is ready, or lacks what `missing` says, fit for users."""

    part: str
    missing: str | None


@dataclass(frozen=True, slots=True)
class DrainBegan:
    """No new request is accepted from now on; accepted ones continue."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The time `next_wakeup_s` has come."""


Event = (
    Arrived
    | Withdrawn
    | WorkerStarting
    | WorkerHeard
    | WorkerJoined
    | WorkerLeft
    | Reported
    | AdapterOffered
    | AdapterRemoved
    | PartChanged
    | DrainBegan
    | TimePassed
)
