"""The provenance of delivered pictures, and their token counts."""

from collections.abc import Mapping, Sequence

from safelight.core.model import ModelSpec
from safelight.core.outcome import StageOutcome
from safelight.core.request import ImageRequest
from safelight.server.wire.options import LoraChoice
from safelight.server.wire.provenance import (
    ControlUsed,
    InputTokensDetails,
    LevelProvenance,
    PictureProvenance,
    Provenance,
    StageProvenance,
    Usage,
)
from safelight.service.pending import Delivery


def usage_of(deliveries: Sequence[Delivery], models: Mapping[str, ModelSpec]) -> Usage:
    """Count tokens: the prompt once, since it is one prompt; a picture, in or out, one for each smallest square.

    The squares are those of the model that made the picture; `models` are the served ones, by name.
    """
    text = deliveries[0].finished.prompt_tokens
    squares = [_squares(delivery.request, models[delivery.outcome.level.model]) for delivery in deliveries]
    painted = sum(squares)
    read = sum(squares[index] for index, each in enumerate(deliveries) if each.request.source is not None)
    return Usage(
        input_tokens=text + read,
        input_tokens_details=InputTokensDetails(image_tokens=read, text_tokens=text),
        output_tokens=painted,
        total_tokens=text + read + painted,
    )


def _squares(request: ImageRequest, model: ModelSpec) -> int:
    return (request.width // model.size_multiple) * (request.height // model.size_multiple)


def provenance_of(deliveries: Sequence[Delivery]) -> Provenance:
    """Return how the pictures of one request were made."""
    request, level = deliveries[0].request, deliveries[0].outcome.level
    outcomes = [delivery.outcome for delivery in deliveries]
    return Provenance(
        model=level.model,
        steps=level.steps,
        steps_run=level.steps_to_run,
        seed=request.seed,
        sampler=level.sampler,
        guidance_scale=level.guidance_scale,
        loras=[LoraChoice(name=use.name, scale=use.scale) for use in request.loras],
        controls=[ControlUsed(name=use.name, scale=use.scale) for use in request.controlnets],
        queue_s=max(outcome.queue_s for outcome in outcomes),
        compute_s=sum(outcome.compute_s for outcome in outcomes),
        retries=sum(outcome.retries for outcome in outcomes),
        images=[_of_picture(delivery) for delivery in deliveries],
    )


def _of_picture(delivery: Delivery) -> PictureProvenance:
    request, outcome = delivery.request, delivery.outcome
    return PictureProvenance(
        id=request.id,
        seed=request.seed,
        worker=outcome.worker,
        queue_s=outcome.queue_s,
        compute_s=outcome.compute_s,
        total_s=outcome.total_s,
        retries=outcome.retries,
        steps_without_loras=outcome.steps_without_loras,
        stages=[_stage(stage) for stage in outcome.stages],
    )


def _stage(stage: StageOutcome) -> StageProvenance:
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
        steps_without_loras=stage.steps_without_loras,
    )
