"""How pictures were made, as answers say it."""

from collections.abc import Sequence

import msgspec

from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.outcome import Outcome, StageOutcome
from safelight.core.quality import QualityProvenance, quality_of, quality_of_all
from safelight.core.reuse import Reused


class AdapterScale(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA or a ControlNet that a picture was made with."""

    name: str
    scale: float


class LevelProvenance(msgspec.Struct, frozen=True, kw_only=True):
    """How a stage was served; `steps_run` of the `steps` were run, fewer where it started from another picture."""

    model: str
    steps: int
    steps_run: int
    sampler: str
    guidance_scale: float


class StageProvenance(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a picture; `score` is how good a gate's scorer holds it to be, if one looked at it."""

    level: LevelProvenance
    worker: str | None = None
    queue_s: float
    compute_s: float
    score: float | None = None
    retries: int = 0
    pauses: int = 0
    steps_without_loras: int = 0
    steps_reused: int = 0


class PictureProvenance(msgspec.Struct, frozen=True, kw_only=True):
    """How one picture was made; `steps_without_loras` steps ran before its LoRAs were loaded.

    `met_deadline` is None without a deadline; `late_s` is None for a picture that was in time; `reused` is None for one
    that was made from nothing earlier.
    """

    id: str
    seed: int
    worker: str | None = None
    queue_s: float
    compute_s: float
    total_s: float
    predicted_s: float | None = None
    retries: int = 0
    pauses: int = 0
    steps_without_loras: int = 0
    deadline_s: float | None = None
    met_deadline: bool | None = None
    late_s: float | None = None
    stages: tuple[StageProvenance, ...] = ()
    reused: Reused | None = None
    quality: QualityProvenance | None = None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """How the pictures of one request were made.

    Attributes:
        steps: of the schedule; `steps_run` of them were run, fewer where a picture started from another one.
        seed: of the first picture.
        queue_s: the longest wait of a picture.
        compute_s: sum over pictures.
        met_deadline: whether all pictures were in time; None without a deadline.
        quality: of all pictures together.
    """

    model: str
    steps: int
    steps_run: int
    seed: int
    sampler: str
    guidance_scale: float
    loras: tuple[AdapterScale, ...] = ()
    controls: tuple[AdapterScale, ...] = ()
    queue_s: float
    compute_s: float
    retries: int = 0
    pauses: int = 0
    met_deadline: bool | None = None
    quality: QualityProvenance | None = None
    images: tuple[PictureProvenance, ...]


def provenance_of(outcomes: Sequence[Outcome]) -> Provenance:
    """Return how the pictures of one call were made; each outcome is that of a finished picture."""
    first = outcomes[0]
    return Provenance(
        model=first.level.model,
        steps=first.level.steps,
        steps_run=first.steps_run,
        seed=first.request.seed,
        sampler=first.level.sampler,
        guidance_scale=first.level.guidance_scale,
        loras=_scales(first.request.loras),
        controls=_scales(first.request.controlnets),
        queue_s=max(outcome.queue_s for outcome in outcomes),
        compute_s=sum(outcome.compute_s for outcome in outcomes),
        retries=sum(outcome.retries for outcome in outcomes),
        pauses=sum(outcome.pauses for outcome in outcomes),
        met_deadline=None if first.request.deadline_s is None else all(outcome.met_deadline for outcome in outcomes),
        quality=quality_of_all(outcomes),
        images=tuple(_of_picture(outcome) for outcome in outcomes),
    )


def _scales(uses: Sequence[LoraUse | ControlNetUse]) -> tuple[AdapterScale, ...]:
    return tuple(AdapterScale(name=use.name, scale=use.scale) for use in uses)


def _of_picture(outcome: Outcome) -> PictureProvenance:
    return PictureProvenance(
        id=outcome.request.id,
        seed=outcome.request.seed,
        worker=outcome.worker,
        queue_s=outcome.queue_s,
        compute_s=outcome.compute_s,
        total_s=outcome.total_s,
        predicted_s=outcome.predicted_s,
        retries=outcome.retries,
        pauses=outcome.pauses,
        steps_without_loras=outcome.steps_without_loras,
        deadline_s=outcome.request.deadline_s,
        met_deadline=None if outcome.request.deadline_s is None else outcome.met_deadline,
        late_s=outcome.late_s or None,
        stages=tuple(_of_stage(stage) for stage in outcome.stages),
        reused=outcome.reused,
        quality=quality_of(outcome),
    )


def _of_stage(stage: StageOutcome) -> StageProvenance:
    level = LevelProvenance(
        model=stage.level.model,
        steps=stage.level.steps,
        steps_run=stage.level.steps_to_run,
        sampler=stage.level.sampler,
        guidance_scale=stage.level.guidance_scale,
    )
    return StageProvenance(
        level=level,
        worker=stage.worker,
        queue_s=stage.queue_s,
        compute_s=stage.compute_s,
        score=stage.score,
        retries=stage.retries,
        pauses=stage.pauses,
        steps_without_loras=stage.steps_without_loras,
        steps_reused=stage.steps_reused,
    )
