"""The provenance of delivered pictures, and their token counts."""

from collections.abc import Sequence

from safelight.core import provenance
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.wire.provenance import InputTokensDetails, Provenance, Usage
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
    """Return how the pictures of one request were made."""
    outcomes = [delivery.outcome for delivery in deliveries]
    return Provenance.model_validate(provenance.provenance_of(outcomes), from_attributes=True)
