"""`POST /v1/images/edits`: pictures from pictures, for the official `openai` client, and as plain JSON."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from safelight.server.routes.openapi_responses import json_or_stream
from safelight.server.routes.paint_flow import paint_order
from safelight.server.routes.replies import IdempotencyKey
from safelight.server.service import TheService
from safelight.server.wire.forms import FORM, JSON, read_body
from safelight.server.wire.images import EditRequest, ImagesResponse

router = APIRouter()


@router.post(
    "/v1/images/edits",
    response_model=ImagesResponse,
    responses=json_or_stream(ImagesResponse),
    operation_id="edit_images",
    tags=["images"],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                FORM: {"schema": {"$ref": "#/components/schemas/EditForm"}},
                JSON: {"schema": {"$ref": "#/components/schemas/EditRequest"}},
            },
        }
    },
)
async def edit_images(request: Request, service: TheService, idempotency_key: IdempotencyKey = None) -> Response:
    """Paint pictures that start from given ones; with a mask, only within it."""
    return await paint_order(await read_body(request, EditRequest), request, service, idempotency_key)
