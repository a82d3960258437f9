"""`POST /v1/images/edits`: image-to-image and inpainting, for the official `openai` client, and as plain JSON."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from safelight.server.routes.images import paint_images
from safelight.server.routes.openapi_responses import json_or_stream
from safelight.server.schema import painting_operation
from safelight.server.wire.bodies import FORM, JSON, read_json_or_form
from safelight.server.wire.images import EditRequest, ImagesResponse

router = APIRouter()


@router.post(
    "/v1/images/edits",
    response_model=ImagesResponse,
    responses=json_or_stream(ImagesResponse),
    operation_id="edit_images",
    tags=["images"],
    openapi_extra=painting_operation({FORM: "EditForm", JSON: "EditRequest"}),
)
async def edit_images(request: Request) -> Response:
    """Paint pictures that start from given ones; with a mask, only within it."""
    return await paint_images(await read_json_or_form(request, EditRequest), request)
