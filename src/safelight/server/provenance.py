"""The provenance of delivered pictures, and their token counts."""

from collections.abc import Sequence

from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.wire.options import LoraChoice
from safelight.server.wire.provenance import ControlUsed, InputTokensDetails, PictureProvenance, Provenance, Usage
from safelight.service.pending import Delivery


def usage_of(deliveries: Sequence[Delivery], model: ModelSpec) -> Usage:
    """Count tokens: the prompt once, since it is one prompt; a picture, in or out, one for each smallest square."""
    text = deliveries[0].finished.prompt_tokens
    painted = sum(_squares(delivery.request, model) for delivery in deliveries)
    read = sum(_squares(delivery.request, model) for delivery in deliveries if delivery.request.source is not None)
    return Usage(
        input_tokens=text + read,
        input_tokens_details=InputTokensDetails(image_tokens=read, text_tokens=text),
        output_tokens=painted,
        total_tokens=text + read + painted,
    )


def _squares(request: ImageRequest, model: ModelSpec) -> int:
    return (request.width // model.size_multiple) * (request.height // model.size_multiple)


def provenance_of(deliveries: Sequence[Delivery]) -> Provenance:
    """Return the provenance of the pictures of one request."""
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
        images=[_provenance_of_one(delivery) for delivery in deliveries],
    )


def _provenance_of_one(delivery: Delivery) -> PictureProvenance:
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
    )
