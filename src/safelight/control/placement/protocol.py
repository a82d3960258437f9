"""The protocol of placement policies, and their view of a fleet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from safelight.control.adapter_directory import AdapterDirectory
from safelight.control.placement.demand import AdapterDemand
from safelight.control.request_state import RequestState
from safelight.control.waiting import WaitingQueue
from safelight.control.worker_state import WorkerState
from safelight.control.workers import Workers
from safelight.core.adapter import AdapterHandle

Reads = Sequence[tuple[WorkerState, tuple[AdapterHandle, ...]]]


HomeOf = Callable[[RequestState], WorkerState | None]
"""Returns the worker that a waiting request will probably get, or None if no worker serves it."""


@dataclass(frozen=True, kw_only=True)
class PlacementView:
    """The fleet as a placement policy sees it at one moment.

    Attributes:
        adapters: the adapters that requests may name.
        demand: how often they were named lately.
        home_of: the worker that a waiting request will probably get, if the routing policy has one for each; else None.
    """

    waiting: WaitingQueue
    workers: Workers
    adapters: AdapterDirectory = field(default_factory=AdapterDirectory)
    demand: AdapterDemand = field(default_factory=AdapterDemand)
    home_of: HomeOf | None = None
    now: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RequestMove:
    """A request goes on, from its next step boundary, on another worker."""

    request: RequestState
    worker: WorkerState


@dataclass(frozen=True, kw_only=True)
class PlacementPlan:
    """What changes.

    Attributes:
        holds: the adapters that each worker holds on its device, the most important ones first, by worker; those that
            it was told to hold before and that are not named are unloaded. Workers that are left out change nothing.
        moves: of requests that workers have.
    """

    holds: Mapping[str, tuple[AdapterHandle, ...]] = field(default_factory=dict)
    moves: Sequence[RequestMove] = ()


NO_CHANGE: Final = PlacementPlan()


class PlacementPolicy(Protocol):
    """Chooses what workers read ahead and hold, and which requests move."""

    @property
    def name(self) -> str: ...

    @property
    def period_s(self) -> float | None:
        """How often `plan` is called while requests come, and once after workers or adapters change; None: never."""
        ...

    def reads(self, view: PlacementView) -> Reads:
        """Return some workers, each with the adapters to read into host memory, soonest needed first.

        It is called after every event that changes the queue.
        """
        ...

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Return what changes; it may take some 10 ms, since it keeps the controller from other events."""
        ...
