"""`POST /v1/images/generations`, for the official `openai` client, and the pictures that its URLs name."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from safelight.server.callers import caller_of
from safelight.server.errors import not_found
from safelight.server.routes.images import paint_images
from safelight.server.routes.openapi_responses import errors, json_or_stream
from safelight.server.schema import painting_operation
from safelight.server.state import TheState
from safelight.server.wire.bodies import JSON, read_json
from safelight.server.wire.images import GenerationRequest, ImagesResponse

router = APIRouter()


@router.post(
    "/v1/images/generations",
    response_model=ImagesResponse,
    responses=json_or_stream(ImagesResponse),
    operation_id="generate_images",
    tags=["images"],
    openapi_extra=painting_operation({JSON: "GenerationRequest"}),
)
async def generate_images(request: Request) -> Response:
    """Paint pictures from a prompt; the answer comes when all are ready, or as a stream of events."""
    return await paint_images(await read_json(request, GenerationRequest), request)


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
async def get_image_content(picture_id: str, request: Request, state: TheState) -> Response:
    """Return a picture that was asked for with `response_format: url`, while it is kept."""
    picture = state.pictures.get(picture_id)
    if picture is None or not caller_of(request.scope).owns(picture.tenant):
        raise not_found("picture", picture_id, hint="pictures are kept in memory for a while only")
    return Response(picture.content, media_type=picture.media_type, headers={"cache-control": "private, max-age=3600"})
