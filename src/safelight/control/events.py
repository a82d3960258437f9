"""Events for the controller; the service passes them with the time."""

from collections.abc import Mapping

import msgspec

from safelight.core.request import ImageRequest
from safelight.core.work import Ready, WorkerEvent
from safelight.latents.plan import ReusePlan


class Arrived(msgspec.Struct, frozen=True):
    """Requests that are accepted together or not at all.

    Attributes:
        reuse: for some of them, by id, how their first stage reuses earlier latents, or captures its own.
    """

    requests: tuple[ImageRequest, ...]
    reuse: Mapping[str, ReusePlan] = msgspec.field(default_factory=dict)


class Withdrawn(msgspec.Struct, frozen=True):
    """This picture is no longer wanted."""

    request_id: str


class WorkerStarting(msgspec.Struct, frozen=True):
    """A worker begins to load its models; `WorkerJoined` or `WorkerLeft` follows."""

    worker: str


class WorkerHeard(msgspec.Struct, frozen=True):
    """A part of an event of a worker has come, which shows that the worker runs."""

    worker: str


class WorkerJoined(msgspec.Struct, frozen=True):
    """A worker is ready; its name is never used for another one."""

    worker: str
    ready: Ready


class WorkerLeft(msgspec.Struct, frozen=True):
    """A worker has ended, and what it held is lost; `reason` is fit for users."""

    worker: str
    reason: str


class Reported(msgspec.Struct, frozen=True):
    """A worker sent an event."""

    worker: str
    event: WorkerEvent


class AdapterOffered(msgspec.Struct, frozen=True):
    """An adapter is at `path`; requests may name it once a worker has read it.

    Attributes:
        offer: a name of this offer, which the answer repeats.
        is_initial: whether the service is not ready before the answer.
    """

    offer: str
    name: str
    path: str
    is_initial: bool = False


class AdapterRemoved(msgspec.Struct, frozen=True):
    """No new request may name this adapter; the answer repeats `offer`."""

    offer: str
    name: str


class PartChanged(msgspec.Struct, frozen=True):
    """Another part of the service is ready, or lacks what `missing` says, fit for users."""

    part: str
    missing: str | None


class DrainBegan(msgspec.Struct, frozen=True):
    """No new request is accepted from now on; accepted ones continue."""


class TimePassed(msgspec.Struct, frozen=True):
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
