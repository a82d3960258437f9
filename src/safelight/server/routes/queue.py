"""`GET /v1/queue`: pictures that wait or run, and a route to cancel one."""

from fastapi import APIRouter

from safelight.server.errors import not_found
from safelight.server.picture_encoder import png_data_url
from safelight.server.queue_view import view_queue
from safelight.server.routes.openapi_responses import errors
from safelight.server.state import TheState
from safelight.server.wire.queue import Cancellation, QueueView

router = APIRouter(tags=["queue"])


@router.get("/v1/queue", responses=errors(), operation_id="get_queue")
async def get_queue(state: TheState) -> QueueView:
    """Return every picture that waits or runs, the workers, and how fast pictures come out."""
    view = view_queue(state.service)
    previews = {entry.id: preview for entry in view.requests if (preview := state.service.preview(entry.id))}
    files = await state.encoder.encode_all([preview.pixels for preview in previews.values()])
    urls = dict(zip(previews, map(png_data_url, files), strict=True))
    for entry in view.requests:
        entry.preview = urls.get(entry.id)
    return view


@router.post("/v1/queue/{picture_id}/cancel", responses=errors(404), operation_id="cancel_picture")
async def cancel_picture(picture_id: str, state: TheState) -> Cancellation:
    """Stop a picture: a waiting one at once, a running one at its next step; its client gets a 410."""
    if not state.service.withdraw(picture_id):
        raise not_found("picture", picture_id, hint="it may be ready, or cancelled already")
    return Cancellation(id=picture_id)
