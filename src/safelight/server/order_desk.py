"""What the image routes share: from a checked body to the answer."""

from fastapi import Request
from starlette.responses import Response

from safelight.core.adapter import ControlUse
from safelight.core.errors import InvalidParameter
from safelight.server.fields import MAX_PICTURES
from safelight.server.generation_job import PLAIN_QUALITY, GenerationJob
from safelight.server.orders import Order, find_model, specify
from safelight.server.reading import Source
from safelight.server.replies import make_answer, repeatable, reply
from safelight.server.service import Service
from safelight.server.wire import EditRequest, GenerationRequest


async def paint_order(
    body: GenerationRequest,
    request: Request,
    service: Service,
    idempotency_key: str | None,
    *,
    sources: tuple[Source, ...] = (),
) -> Response:
    """Answer with the pictures when all are ready, or with a stream of events; from `sources`, or from the prompt."""
    is_stream = bool(body.stream)
    pictures = (body.n or 1) * max(1, len(sources))
    if is_stream and pictures > 1:
        raise InvalidParameter("n", body.n, "streaming is only supported with n=1 and one image")
    if pictures > MAX_PICTURES:
        rule = f"{len(sources)} pictures times n make {pictures}, of which at most {MAX_PICTURES} are painted at once"
        raise InvalidParameter("n", body.n, rule)
    controls = await service.encoder.read_controls(body.controls or ())
    # From here to the answer in the making nothing waits, so that a repetition finds it.
    name = repeatable(request, idempotency_key, body)
    if name is not None and (known := service.answers.find(name)) is not None:
        return await reply(request, known, is_stream=is_stream, is_replay=True)
    service.hub.check_open()
    model = find_model(body.model, service.hub.models)
    requests = specify(_order(body, controls, sources), model, arrived_s=service.hub.now_s)
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


def _order(body: GenerationRequest, controls: tuple[ControlUse, ...], sources: tuple[Source, ...]) -> Order:
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
        sources=sources,
        strength=body.strength if isinstance(body, EditRequest) else None,
    )
