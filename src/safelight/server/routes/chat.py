"""`POST /v1/chat/completions`: a picture as the answer to a message, in vLLM-Omni's shape."""

import secrets
from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from safelight.control.levels import find_model
from safelight.core.errors import RequestError
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.painter import Painted, Painter, provenance_of, unix_now, usage_of
from safelight.server.picture_encoder import png_data_url
from safelight.server.routes.openapi_responses import PAINTING, errors
from safelight.server.routes.replies import IdempotencyKey, make_answer, repeatable, reply
from safelight.server.service import TheService
from safelight.server.wire.chat import (
    ChatAnswer,
    ChatMetrics,
    ChatOptions,
    ChatRequest,
    ChatResponse,
    ChatUsage,
    Choice,
    ImagePart,
    ImageUrl,
    StageDurations,
)
from safelight.server.wire.fields import MAX_PROMPT_CHARACTERS
from safelight.server.wire.paint_request import PaintRequest, image_requests
from safelight.server.wire.pictures import read_controls, read_sources
from safelight.service.pending import PendingPicture

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse,
    responses=errors(*PAINTING),
    operation_id="complete_chat",
    tags=["images"],
)
async def complete_chat(
    body: ChatRequest, request: Request, service: TheService, idempotency_key: IdempotencyKey = None
) -> Response:
    """Paint the last user message, from the picture in it if there is one; the answer's content is a PNG data URL."""
    options, prompt, pictures = _options(body), _prompt(body), _pictures(body)
    name = repeatable(request, idempotency_key, body)
    if name is not None and (known := service.answers.find(name)) is not None:
        return await reply(request, known, is_stream=False, is_replay=True)
    service.hub.check_open()
    model = find_model(body.model, service.hub.models)
    arrived_s = service.hub.now_s

    def requests_of() -> tuple[ImageRequest, ...]:
        paint = PaintRequest(
            prompt=prompt,
            options=options,
            model=body.model,
            pictures=body.n or 1,
            width=options.width,
            height=options.height,
            controlnets=read_controls(options.controls or ()),
            sources=read_sources(pictures, None, param="image_url"),
            strength=options.strength,
        )
        return image_requests(paint, model, arrived_s=arrived_s)

    requests = await service.encoder.run(requests_of)
    # Others may have asked meanwhile; from here to the answer in the making nothing waits.
    if name is not None and (known := service.answers.find(name)) is not None:
        return await reply(request, known, is_stream=False, is_replay=True)
    tickets = service.hub.submit(requests)
    answer = make_answer(
        _document(service.painter, tickets, model),
        tickets=tickets,
        store=service.answers,
        name=name,
        outlives_readers=options.on_disconnect == "finish",
    )
    return await reply(request, answer, is_stream=False, is_replay=False)


def _options(body: ChatRequest) -> ChatOptions:
    """Merge both places of options; raises RequestError for one that is in both."""
    if body.extra_body is None:
        return body
    names = set(ChatOptions.model_fields)
    nested = body.extra_body.model_fields_set & names
    flat = body.model_fields_set & names
    if both := sorted(nested & flat):
        raise RequestError(
            f"{both[0]} is given at the top level and in extra_body; give it once.",
            param=both[0],
            code="duplicate_parameter",
        )
    return ChatOptions.model_construct(
        flat | nested,
        **{name: getattr(body.extra_body if name in nested else body, name) for name in names},
    )


def _prompt(body: ChatRequest) -> str:
    """Return the prompt; its parts are within the limit, and together they must be too."""
    prompt = body.wish.text
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise RequestError(
            f"The prompt has {len(prompt):,} characters, of which at most {MAX_PROMPT_CHARACTERS} are allowed.",
            param="messages",
            code="invalid_value",
        )
    return prompt


def _pictures(body: ChatRequest) -> tuple[str, ...]:
    """Return the picture to start from, if there is one."""
    pictures = body.wish.pictures
    if len(pictures) > 1:
        raise RequestError(
            f"The message has {len(pictures)} pictures; a picture starts from one. /v1/images/edits takes several.",
            param="messages",
            code="invalid_value",
        )
    return pictures


async def _document(painter: Painter, tickets: Sequence[PendingPicture], model: ModelSpec) -> AsyncIterator[bytes]:
    painted = await painter.paint(tickets, "png")
    deliveries = [picture.delivery for picture in painted]
    usage = usage_of(deliveries, model)
    provenance = provenance_of(deliveries)
    answer = ChatResponse(
        id=f"chatcmpl-{secrets.token_hex(12)}",
        created=unix_now(),
        model=model.name,
        choices=[_choice(index, picture) for index, picture in enumerate(painted)],
        usage=ChatUsage(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
        ),
        metrics=ChatMetrics(stage_durations=StageDurations(queue=provenance.queue_s, diffusion=provenance.compute_s)),
        safelight=provenance,
    )
    yield answer.model_dump_json().encode()


def _choice(index: int, picture: Painted) -> Choice:
    outcome = picture.delivery.outcome
    durations = StageDurations(queue=outcome.queue_s, diffusion=outcome.compute_s)
    part = ImagePart(image_url=ImageUrl(url=png_data_url(picture.content)), stage_durations=durations)
    return Choice(index=index, message=ChatAnswer(content=[part]))
