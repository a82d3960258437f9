"""`POST /v1/chat/completions`: a picture as the answer to a message, in vLLM-Omni's format."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from safelight.server.image_requests import check_message, options_of_chat, requests_of_chat
from safelight.server.routes.chat_response import chat_document
from safelight.server.routes.openapi_responses import PAINTING, errors
from safelight.server.routes.paint_flow import PaintCall, paint
from safelight.server.schema import painting_operation
from safelight.server.wire.bodies import JSON, read_json
from safelight.server.wire.chat import ChatRequest, ChatResponse

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse,
    responses=errors(*PAINTING),
    operation_id="complete_chat",
    tags=["images"],
    openapi_extra=painting_operation({JSON: "ChatRequest"}),
)
async def complete_chat(request: Request) -> Response:
    """Paint the last user message, from the picture in it if there is one; the answer's content is a PNG data URL."""
    body = await read_json(request, ChatRequest)
    options = options_of_chat(body)
    check_message(body)
    call = PaintCall(
        body=body,
        model=body.model,
        image_requests=partial(requests_of_chat, body),
        has_pictures=bool(options.controls or body.last_user_message.pictures),
        chunks=chat_document,
        outlives_client=options.on_disconnect == "finish",
    )
    del options  # it may hold pictures, which are not needed while the answer is awaited
    return await paint(call, request)
