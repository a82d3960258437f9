"""What the two image routes share."""

from functools import partial

from fastapi import Request
from starlette.responses import Response

from safelight.core.errors import InvalidParameter
from safelight.server.image_requests import requests_of_images
from safelight.server.routes.image_response import ImageResponse
from safelight.server.routes.paint_flow import AcceptedPictures, PaintCall, paint
from safelight.server.wire.images import EditRequest, GenerationRequest
from safelight.service.paint_request import MAX_PICTURES


async def paint_images(body: GenerationRequest, request: Request) -> Response:
    """Return the pictures when all are ready, or a stream of events; raises SafelightError."""
    _check_count(body)
    is_stream = bool(body.stream)

    def response_of(accepted: AcceptedPictures) -> ImageResponse:
        return ImageResponse(accepted=accepted, body=body, url_of=partial(_content_url, request))

    call = PaintCall(
        body=body,
        model=body.model,
        image_requests=partial(requests_of_images, body),
        has_pictures=bool(body.controls) or isinstance(body, EditRequest),
        chunks=lambda accepted: response_of(accepted).events() if is_stream else response_of(accepted).document(),
        outlives_client=body.on_disconnect == "finish",
        is_stream=is_stream,
        partial_images=(body.partial_images or 0) if is_stream else 0,
    )
    return await paint(call, request)


def _content_url(request: Request, picture_id: str) -> str:
    return f"{request.base_url}v1/images/{picture_id}/content"


def _check_count(body: GenerationRequest) -> None:
    sources = len(body.image) if isinstance(body, EditRequest) else 1
    pictures = (body.n or 1) * sources
    if body.stream and pictures > 1:
        raise InvalidParameter("n", body.n, "streaming is only supported with n=1 and one image")
    if pictures > MAX_PICTURES:
        rule = f"{sources} pictures times n make {pictures}, of which at most {MAX_PICTURES} are painted at once"
        raise InvalidParameter("n", body.n, rule)
