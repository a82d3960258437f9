"""The provenance of delivered pictures, and their token counts."""

from collections.abc import Mapping, Sequence

from safelight.core import provenance
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.wire.provenance import InputTokensDetails, Provenance, Usage
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
    outcomes = [delivery.outcome for delivery in deliveries]
    return Provenance.model_validate(provenance.provenance_of(outcomes), from_attributes=True)
