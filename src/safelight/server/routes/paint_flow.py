"""What the image routes share: from a checked body to the answer."""

from functools import partial

from fastapi import Request
from starlette.responses import Response

from safelight.control.levels import find_model
from safelight.core.errors import InvalidParameter
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.server.routes.image_response import PLAIN_QUALITY, GenerationJob
from safelight.server.routes.replies import make_answer, repeatable, reply
from safelight.server.service import Service
from safelight.server.wire.fields import MAX_PICTURES
from safelight.server.wire.images import EditRequest, GenerationRequest
from safelight.server.wire.paint_request import PaintRequest, image_requests
from safelight.server.wire.pictures import read_controls, read_sources


async def paint_order(
    body: GenerationRequest, request: Request, service: Service, idempotency_key: str | None
) -> Response:
    """Answer with the pictures when all are ready, or with a stream of events."""
    is_stream = bool(body.stream)
    _check_count(body, is_stream=is_stream)
    name = repeatable(request, idempotency_key, body)
    if name is not None and (known := service.answers.find(name)) is not None:
        return await reply(request, known, is_stream=is_stream, is_replay=True)
    service.hub.check_open()
    model = find_model(body.model, service.hub.models)
    requests = await service.encoder.run(partial(requests_of, body, model, arrived_s=service.hub.now_s))
    # Others may have asked meanwhile; from here to the answer in the making nothing waits.
    if name is not None and (known := service.answers.find(name)) is not None:
        return await reply(request, known, is_stream=is_stream, is_replay=True)
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


def requests_of(body: GenerationRequest, model: ModelSpec, *, arrived_s: float) -> tuple[ImageRequest, ...]:
    """Return one request for each picture, with all pictures that come along read and fitted.

    Raises:
        RequestError: if one cannot be painted like that.
    """
    width, _, height = (body.size or "auto").replace("auto", "").partition("x")
    edit = body if isinstance(body, EditRequest) else None
    paint = PaintRequest(
        prompt=body.prompt,
        options=body,
        model=body.model,
        pictures=body.n or 1,
        width=int(width) if width else None,
        height=int(height) if height else None,
        quality=PLAIN_QUALITY[body.quality],
        controlnets=read_controls(body.controls or ()),
        sources=() if edit is None else read_sources(edit.image, edit.mask, param="image"),
        strength=None if edit is None else edit.strength,
    )
    return image_requests(paint, model, arrived_s=arrived_s)


def _check_count(body: GenerationRequest, *, is_stream: bool) -> None:
    sources = len(body.image) if isinstance(body, EditRequest) else 1
    pictures = (body.n or 1) * sources
    if is_stream and pictures > 1:
        raise InvalidParameter("n", body.n, "streaming is only supported with n=1 and one image")
    if pictures > MAX_PICTURES:
        rule = f"{sources} pictures times n make {pictures}, of which at most {MAX_PICTURES} are painted at once"
        raise InvalidParameter("n", body.n, rule)
