"""The record of how a request ended, whether served or simulated."""

from typing import Final, Literal

import msgspec

from safelight.core.level import Level, Route
from safelight.core.request import ImageRequest
from safelight.core.reuse import Reused
from safelight.core.source import LatentsHandle

Status = Literal["finished", "failed", "cancelled", "rejected", "expired"]
"""`expired`: accepted, and given up when the deadline had passed, as the client has asked."""


CLOCK_ERROR_S: Final = 1e-6
"""What sums and differences of times may lose."""


class StageOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one stage of a request.

    Attributes:
        worker: the one that ran it, or had it last.
        queue_s: seconds from when it could have begun to the first tick of its last attempt.
        total_s: seconds from when it could have begun to its end.
        compute_s: seconds of encoding, ticks and decoding that it took part in.
        score: of its picture, by the scorer of a gate.
        retries: attempts lost to workers that died.
        pauses: how many times its row was stopped between two steps, and went on later or in another worker.
        steps_without_loras: steps that ran before the LoRAs were there.
        steps_reused: steps that took over the prediction of an earlier one.
    """

    level: Level
    worker: str | None = None
    queue_s: float = 0.0
    total_s: float = 0.0
    compute_s: float = 0.0
    score: float | None = None
    retries: int = 0
    pauses: int = 0
    steps_without_loras: int = 0
    steps_reused: int = 0

    @property
    def reuse(self) -> LatentsHandle | None:
        """The earlier latents that it started from."""
        return self.level.start


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one request ended.

    Attributes:
        route: the levels that were planned for it.
        reason: why there is no picture, as a short stable name; empty when there is one.
        total_s: seconds from arrival to the end.
        predicted_s: seconds from arrival to the end that admission has predicted; None if it could not.
        stages: those that were begun, in order; the picture is that of the last one. None for an earlier picture.
        reused: what of an earlier picture served it.
    """

    request: ImageRequest
    route: Route
    status: Status
    reason: str = ""
    total_s: float = 0.0
    predicted_s: float | None = None
    stages: tuple[StageOutcome, ...] = ()
    reused: Reused | None = None

    @property
    def level(self) -> Level:
        """The level of its last stage, or the first of its route if none was begun."""
        return self.stages[-1].level if self.stages else self.route.levels[0]

    @property
    def steps_run(self) -> int:
        """Steps of its last stage that were run; none if an earlier picture was the answer."""
        return self.level.steps_to_run if self.stages else 0

    @property
    def worker(self) -> str | None:
        """The worker that made the picture, or had it last."""
        return self.stages[-1].worker if self.stages else None

    @property
    def queue_s(self) -> float:
        return sum(stage.queue_s for stage in self.stages)

    @property
    def compute_s(self) -> float:
        return sum(stage.compute_s for stage in self.stages)

    @property
    def retries(self) -> int:
        return sum(stage.retries for stage in self.stages)

    @property
    def pauses(self) -> int:
        return sum(stage.pauses for stage in self.stages)

    @property
    def steps_without_loras(self) -> int:
        return sum(stage.steps_without_loras for stage in self.stages)

    @property
    def cascade_levels(self) -> tuple[str, ...]:
        """The models of a cascade that painted it, in order; empty without a cascade."""
        return () if self.route.cascade is None else tuple(stage.level.model for stage in self.stages)

    @property
    def late_s(self) -> float:
        """Seconds from its deadline to its end; 0 if it ended in time or has no deadline."""
        late_s = self.request.arrived_s + self.total_s - self.request.due_s
        return late_s if late_s > CLOCK_ERROR_S else 0.0

    @property
    def met_deadline(self) -> bool:
        """Whether the picture was ready in time; one without a deadline is in time when it is finished."""
        ended_s = self.request.arrived_s + self.total_s
        return self.status == "finished" and ended_s <= self.request.due_s + CLOCK_ERROR_S
