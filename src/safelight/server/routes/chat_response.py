"""The response body of the chat route, in vLLM-Omni's format."""

import secrets
from collections.abc import AsyncIterator

from safelight.server.painter import Painted, unix_now
from safelight.server.picture_encoder import png_data_url
from safelight.server.provenance import provenance_of, usage_of
from safelight.server.routes.paint_flow import AcceptedPictures
from safelight.server.wire.chat import (
    ChatAnswer,
    ChatMetrics,
    ChatResponse,
    ChatUsage,
    Choice,
    ImagePart,
    ImageUrl,
    StageDurations,
)


async def chat_document(accepted: AcceptedPictures) -> AsyncIterator[bytes]:
    """Yield the whole JSON document, with one choice for each picture."""
    painted = await accepted.state.painter.paint(accepted.pictures, "png")
    deliveries = [picture.delivery for picture in painted]
    usage = usage_of(deliveries, accepted.state.service.models)
    provenance = provenance_of(deliveries)
    document = ChatResponse(
        id=f"chatcmpl-{secrets.token_hex(12)}",
        created=unix_now(),
        model=provenance.model,
        choices=[_choice(index, picture) for index, picture in enumerate(painted)],
        usage=ChatUsage(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
        ),
        metrics=ChatMetrics(stage_durations=StageDurations(queue=provenance.queue_s, diffusion=provenance.compute_s)),
        safelight=provenance,
    )
    yield document.model_dump_json().encode()


def _choice(index: int, picture: Painted) -> Choice:
    outcome = picture.delivery.outcome
    durations = StageDurations(queue=outcome.queue_s, diffusion=outcome.compute_s)
    part = ImagePart(image_url=ImageUrl(url=png_data_url(picture.content)), stage_durations=durations)
    return Choice(index=index, message=ChatAnswer(content=[part]))
