"""A request that was accepted and has not ended."""

from dataclasses import dataclass
from typing import Literal

from safelight.control.batch import Row
from safelight.control.order import Place, place_of
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Job


@dataclass(slots=True, eq=False)
class Ticket:
    """Where an accepted request stands.

    Attributes:
        sequence: counts accepted requests; no two share one.
        worker: that has it, or had it last.
        step: steps run in this attempt.
        started_s: time of the first tick of this attempt.
        is_withdrawn: nobody wants it, but its worker has not let it go yet.
        is_suspect: it has been on so many workers that died that it runs alone, lest it take others down.
    """

    request: ImageRequest
    sequence: int
    attempt: int = 1
    worker: str | None = None
    step: int = 0
    started_s: float | None = None
    is_withdrawn: bool = False
    is_suspect: bool = False

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def place(self) -> Place:
        return place_of(self.request, self.sequence)

    @property
    def job(self) -> Job:
        return Job(request=self.request, attempt=self.attempt)

    def row(self) -> Row:
        """Return a fresh row with the steps that are left; one that is being decoded counts as one step before it."""
        step = min(self.step, self.request.steps_to_run - 1)
        return Row.of(self.request, sequence=self.sequence, step=step, has_begun=self.started_s is not None)

    def begin_again(self, *, as_suspect: bool) -> None:
        """Forget the lost attempt."""
        self.attempt += 1
        self.step = 0
        self.started_s = None
        self.is_suspect = as_suspect

    def outcome(
        self,
        status: Literal["finished", "failed", "cancelled"],
        now: float,
        *,
        reason: str = "",
        compute_s: float = 0.0,
        steps_without_loras: int = 0,
    ) -> Outcome:
        """Return the record of an end at `now`."""
        return Outcome(
            request=self.request,
            status=status,
            reason=reason,
            worker=self.worker,
            queue_s=(now if self.started_s is None else self.started_s) - self.request.arrived_s,
            compute_s=compute_s,
            total_s=now - self.request.arrived_s,
            retries=self.attempt - 1,
            steps_without_loras=steps_without_loras,
        )
