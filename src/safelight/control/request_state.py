"""A request that was accepted and has not ended."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from operator import mul

import msgspec

from safelight.control.batch import QueuedJob
from safelight.control.order.protocol import Place
from safelight.core.adapter import AdapterHandle
from safelight.core.job import Job, PausedRow
from safelight.core.level import Level, Route
from safelight.core.outcome import Outcome, StageOutcome, Status
from safelight.core.request import ImageRequest


@dataclass(slots=True, eq=False, kw_only=True)
class RequestState:
    """The state of an accepted request.

    Attributes:
        sequence: number of the request, unique, in order of arrival.
        place: in the queue; smaller goes first. Workers know its `first_place`, which it had on arrival.
        job: its present stage and attempt.
        worker: the one that has it, or had its present stage last.
        is_running: whether that worker has it now.
        step: steps of this stage that its next row will not repeat.
        begun_step: `step` when its present row was begun.
        has_row: whether its worker has begun a row for it.
        is_pausing: whether its worker was asked to stop its row, and has not done it yet.
        next_worker: the worker that is to go on with it when it is paused; None for any.
        is_forecast: whether its deadline is promised by a forecast, which whoever joins its worker must not break.
        pauses: of this stage, of its rows; `stops` counts those before it had one too.
        queued_s: since when its present stage could have begun.
        started_s: time of the first tick of this attempt.
        is_withdrawn: whether it was withdrawn or has expired, and its worker has not released it yet.
        has_ended: whether its client has got its end, though its worker has not released it yet.
        is_suspect: whether so many of its workers have died that it has to run alone on a worker.
        work_s: expected seconds of a full worker's time that a fresh attempt of this stage takes, with all later stages
            of the route, each as likely as its gate lets it be; `step_work_s` for each step of this stage.
        service_s: seconds from its start to its end while all calls are full, with the stages that have to follow.
        work_limit: how much work may be ahead of it while it waits, on the scale of `Prediction`; inf if it cannot be
            late, or is.
        late_from_s: from when on it is late if it still waits.
        is_late: whether it is known to miss its deadline.
        compute_s: seconds of the ticks of this attempt that it has taken part in.
        weights_bytes: of each adapter that it needs; `adapter_bytes` of all.
        predicted_s: seconds from arrival to the end that admission has predicted; None if it could not.
        stages: those that have ended.
        id, model, denoiser_rows: of its present stage.
    """

    request: ImageRequest
    route: Route
    sequence: int
    place: Place
    first_place: Place
    job: Job
    work_s: float = 0.0
    step_work_s: float = 0.0
    service_s: float = 0.0
    work_limit: float = math.inf
    late_from_s: float = math.inf
    is_late: bool = False
    compute_s: float = 0.0
    worker: str | None = None
    is_running: bool = False
    step: int = 0
    begun_step: int = 0
    has_row: bool = False
    is_pausing: bool = False
    next_worker: str | None = None
    pauses: int = 0
    stops: int = 0
    is_forecast: bool = False
    queued_s: float = 0.0
    started_s: float | None = None
    is_withdrawn: bool = False
    has_ended: bool = False
    is_suspect: bool = False
    weights_bytes: Mapping[AdapterHandle, int] = field(default_factory=dict)
    predicted_s: float | None = None
    stages: list[StageOutcome] = field(default_factory=list)
    id: str = field(init=False)
    model: str = field(init=False)
    denoiser_rows: int = field(init=False)
    adapter_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.id = self.request.id
        self.adapter_bytes = sum(self.weights_bytes.values())
        self._set_job(self.job)

    def _set_job(self, job: Job) -> None:
        self.job, self.model, self.denoiser_rows = job, job.level.model, job.level.denoiser_rows

    @classmethod
    def admitted(
        cls,
        request: ImageRequest,
        route: Route,
        weights_bytes: Mapping[AdapterHandle, int],
        *,
        sequence: int,
        place: Place,
    ) -> "RequestState":
        """Return a request that waits for its first stage."""
        return cls(
            request=request,
            route=route,
            sequence=sequence,
            place=place,
            first_place=place,
            job=Job(request=request, level=route.levels[0], adapters=tuple(weights_bytes), gate=route.scorer_after(0)),
            queued_s=request.arrived_s,
            weights_bytes=weights_bytes,
        )

    @property
    def left_s(self) -> float:
        """Seconds of a full worker's time that remain in this attempt and in later stages."""
        return max(0.0, self.work_s - self.step * self.step_work_s)

    @property
    def is_punctual(self) -> bool:
        """Whether it has a deadline that it is not known to miss."""
        return not self.is_late and self.request.deadline_s is not None

    @property
    def stages_left(self) -> tuple[Level, ...]:
        """The levels of its present stage and of those that may follow."""
        return self.route.levels[self.job.stage :]

    @property
    def expected_stages(self) -> tuple[tuple[Level, float], ...]:
        """The levels of `stages_left`, each with the probability that it is run."""
        gates = self.route.gates[self.job.stage :]
        return tuple(zip(self.stages_left, accumulate((gate.share for gate in gates), mul, initial=1.0), strict=True))

    @property
    def keeps_deadline(self) -> bool:
        """Whether the picture of the present stage is the answer if the next stage would be late."""
        stage = self.job.stage
        return stage < len(self.route.gates) and self.route.gates[stage].keeps_deadline

    def queued_job(self) -> QueuedJob:
        """Return it with its remaining steps; a request that is being decoded counts as if one step remained."""
        steps_run = min(self.step, self.job.level.steps_to_run - 1)
        place = self.first_place if self.is_running else self.place
        return QueuedJob.of(self.job, place=place, steps_run=steps_run, has_begun=self.has_row)

    def begin_again(self, *, as_suspect: bool) -> None:
        """Start a new attempt of the present stage: where it was paused last, but from its first step as a suspect."""
        paused = None if as_suspect else self.job.paused
        self._start_over(msgspec.structs.replace(self.job, attempt=self.job.attempt + 1, paused=paused))
        self.is_suspect = as_suspect

    def begin_row(self, now: float) -> None:
        """Note that its worker is about to run its first tick there."""
        self.has_row, self.begun_step = True, self.step
        if self.started_s is None:
            self.started_s = now

    def pause(self, row: PausedRow | None) -> None:
        """Note that its worker has stopped it; `row` is None if there was nothing to keep."""
        self.pauses += self.has_row
        self.stops += 1
        self.has_row = self.is_pausing = False
        if row is not None:
            self._set_job(msgspec.structs.replace(self.job, paused=row))
            self.step, self.compute_s = row.steps_run, row.compute_s

    def begin_next_stage(self, ended: StageOutcome, now: float) -> None:
        """Start the next stage of the route."""
        stage = self.job.stage + 1
        self.stages.append(ended)
        self.pauses = self.stops = 0
        self._start_over(
            Job(
                request=self.request,
                level=self.route.levels[stage],
                adapters=self.job.adapters,
                stage=stage,
                gate=self.route.scorer_after(stage),
            )
        )
        self.queued_s = now
        self.worker = None
        self.is_suspect = False

    def following_stage(self, now: float) -> "RequestState":
        """Return a copy that waits for the next stage."""
        following = replace(self, stages=list(self.stages))
        following.begin_next_stage(self.stage_outcome(now), now)
        return following

    def stage_outcome(
        self,
        now: float,
        *,
        compute_s: float = 0.0,
        score: float | None = None,
        steps_without_loras: int = 0,
        steps_reused: int = 0,
    ) -> StageOutcome:
        """Return the record of the present stage, which ends at `now`."""
        return StageOutcome(
            level=self.job.level,
            worker=self.worker,
            queue_s=(now if self.started_s is None else self.started_s) - self.queued_s,
            total_s=now - self.queued_s,
            compute_s=compute_s,
            score=score,
            retries=self.job.attempt - 1,
            pauses=self.pauses,
            steps_without_loras=steps_without_loras,
            steps_reused=steps_reused,
        )

    def outcome(self, status: Status, now: float, last: StageOutcome, *, reason: str = "") -> Outcome:
        """Return the record of the request, which ends at `now`."""
        return Outcome(
            request=self.request,
            route=self.route,
            status=status,
            reason=reason,
            total_s=now - self.request.arrived_s,
            predicted_s=self.predicted_s,
            stages=(*self.stages, last),
        )

    def _start_over(self, job: Job) -> None:
        self._set_job(job)
        self.step = self.begun_step = job.steps_run
        self.has_row = self.is_pausing = False
        self.next_worker = None
        self.compute_s = 0.0 if job.paused is None else job.paused.compute_s
        self.started_s = None
