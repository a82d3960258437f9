"""What a preemption policy is asked, and what it may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState


@dataclass(frozen=True, kw_only=True)
class Preemption:
    """A request takes the places of others.

    Attributes:
        worker: that runs the request from its next step boundary on.
        paused: those of its requests that stop there, and are queued again with the steps that they have run.
    """

    worker: WorkerState
    paused: tuple[RequestState, ...] = ()


class PreemptionView(Protocol):
    """The fleet as a preemption policy sees it, for one request at one moment."""

    @property
    def now(self) -> float: ...

    @property
    def workers(self) -> Sequence[WorkerState]:
        """Some of those that serve the request: few enough to look at each."""
        ...

    @property
    def free_paused_bytes(self) -> int:
        """How many more bytes of paused rows may be held."""
        ...

    def row_bytes(self, held: RequestState) -> int:
        """Return how many bytes the row of a request is expected to have."""
        ...

    def leaves_room(self, request: RequestState, more_s: float) -> bool:
        """Return whether no waiting request becomes late if `request` goes before all, and costs `more_s` more."""
        ...

    def keeps_promises(self, request: RequestState, preemption: Preemption, *, switch_s: float) -> bool:
        """Return whether `request` would be in time, and no accepted request that can be in time would be late.

        Args:
            request: is not queued.
            preemption: what would be done.
            switch_s: the cost of stopping one row, and of its way to where it goes on.
        """
        ...


class PreemptionPolicy(Protocol):
    """Decides which requests pause for one that would be refused, or that waits and would be late."""

    @property
    def name(self) -> str: ...

    def choose(self, request: RequestState, view: PreemptionView) -> Preemption | None:
        """Return who makes way for `request`, which has a deadline and is not queued, or None if nobody does."""
        ...
