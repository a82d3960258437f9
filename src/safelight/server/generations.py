"""`POST /v1/images/generations`, for the official `openai` client, and the pictures that its URLs name."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from safelight.core.adapter import ControlUse
from safelight.core.errors import InvalidParameter
from safelight.server.errors import not_found
from safelight.server.generation_job import PLAIN_QUALITY, GenerationJob
from safelight.server.orders import Order, find_model, specify
from safelight.server.replies import IdempotencyKey, make_answer, repeatable, reply
from safelight.server.responses import errors, json_or_stream
from safelight.server.service import TheService
from safelight.server.wire import GenerationRequest, ImagesResponse

router = APIRouter()


@router.post(
    "/v1/images/generations",
    response_model=ImagesResponse,
    responses=json_or_stream(ImagesResponse),
    operation_id="generate_images",
    tags=["images"],
)
async def generate_images(
    body: GenerationRequest, request: Request, service: TheService, idempotency_key: IdempotencyKey = None
) -> Response:
    """Paint pictures from a prompt; the answer comes when all are ready, or as a stream of events."""
    is_stream = bool(body.stream)
    if is_stream and (body.n or 1) > 1:
        raise InvalidParameter("n", body.n, "streaming is only supported with n=1")
    name = repeatable(request, idempotency_key, body)
    if name is not None and (known := service.answers.find(name)) is not None:
        return await reply(request, known, is_stream=is_stream, is_replay=True)
    service.hub.check_open()
    model = find_model(body.model, service.hub.models)
    controls = await service.encoder.read_all(body.controls or ())
    requests = specify(_order(body, controls), model, arrived_s=service.hub.now_s)
    tickets = service.hub.submit(requests, partial_images=body.partial_images or 0 if is_stream else 0)
    job = GenerationJob(service=service, body=body, model=model, tickets=tickets, base_url=str(request.base_url))
    answer = make_answer(
        job.events() if is_stream else job.document(),
        tickets=tickets,
        store=service.answers,
        name=name,
        outlives_readers=body.on_disconnect == "finish",
    )
    return await reply(request, answer, is_stream=is_stream, is_replay=False)


@router.get(
    "/v1/images/{picture_id}/content",
    response_class=Response,
    responses=errors(404)
    | {
        200: {
            "description": "The picture file.",
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in ("image/png", "image/jpeg", "image/webp")
            },
        }
    },
    operation_id="get_image_content",
    tags=["images"],
)
async def get_image_content(picture_id: str, service: TheService) -> Response:
    """Return a picture that was asked for with `response_format: url`, while it is kept."""
    picture = service.pictures.get(picture_id)
    if picture is None:
        raise not_found("picture", picture_id, hint="pictures are kept in memory for a while only")
    return Response(picture.content, media_type=picture.media_type, headers={"cache-control": "private, max-age=3600"})


def _order(body: GenerationRequest, controls: tuple[ControlUse, ...]) -> Order:
    width, _, height = (body.size or "auto").replace("auto", "").partition("x")
    return Order(
        prompt=body.prompt,
        options=body,
        model=body.model,
        pictures=body.n or 1,
        width=int(width) if width else None,
        height=int(height) if height else None,
        quality=PLAIN_QUALITY[body.quality],
        controls=controls,
    )
