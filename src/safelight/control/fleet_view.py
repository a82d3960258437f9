"""The controller's state as values."""

from dataclasses import dataclass

from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState
from safelight.core.level import Level
from safelight.core.request import ImageRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A request that has not ended.

    Attributes:
        level: of its present stage.
        stage: counted from 0.
        worker: that has it now; None while it waits.
        step: steps that were run in this attempt.
    """

    request: ImageRequest
    level: Level
    stage: int
    worker: str | None
    step: int
    attempt: int
    has_started: bool
    is_withdrawn: bool

    @classmethod
    def of(cls, state: RequestState) -> "Accepted":
        return cls(
            request=state.request,
            level=state.job.level,
            stage=state.job.stage,
            worker=state.worker if state.is_running else None,
            step=state.step,
            attempt=state.job.attempt,
            has_started=state.started_s is not None,
            is_withdrawn=state.is_withdrawn,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoad:
    """A live worker and what it holds; one denoiser call takes `max_denoiser_rows`.

    Attributes:
        is_suspected: whether it may hang, so that it gets no new work.
    """

    worker: str
    models: tuple[str, ...]
    pictures: int
    denoiser_rows: int
    max_denoiser_rows: int
    is_suspected: bool = False

    @classmethod
    def of(cls, worker: WorkerState) -> "WorkerLoad":
        return cls(
            worker=worker.name,
            models=tuple(worker.paces),
            pictures=worker.load,
            denoiser_rows=worker.used_rows,
            max_denoiser_rows=worker.max_denoiser_rows,
            is_suspected=worker.is_suspected,
        )
