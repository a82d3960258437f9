"""`GET /v1/queue`: pictures that wait or run, and a route to cancel one."""

from fastapi import APIRouter, Request

from safelight.server.audit import audit
from safelight.server.callers import actor_of, caller_of
from safelight.server.errors import not_found
from safelight.server.picture_encoder import png_data_url
from safelight.server.queue_view import view_queue
from safelight.server.routes.openapi_responses import errors
from safelight.server.state import TheState
from safelight.server.wire.queue import Cancellation, QueueView

router = APIRouter(tags=["queue"])


@router.get("/v1/queue", responses=errors(), operation_id="get_queue")
async def get_queue(request: Request, state: TheState) -> QueueView:
    """Return every picture of the caller's tenant that waits or runs, the workers, and how fast pictures come out."""
    view = view_queue(state.service, caller_of(request.scope))
    previews = {entry.id: preview for entry in view.requests if (preview := state.service.preview(entry.id))}
    files = await state.encoder.encode_all([preview.pixels for preview in previews.values()])
    urls = dict(zip(previews, map(png_data_url, files), strict=True))
    for entry in view.requests:
        entry.preview = urls.get(entry.id)
    return view


@router.post("/v1/queue/{picture_id}/cancel", responses=errors(404), operation_id="cancel_picture")
async def cancel_picture(picture_id: str, request: Request, state: TheState) -> Cancellation:
    """Stop a picture: a waiting one at once, a running one at its next step; its client gets a 410."""
    actor, owner = actor_of(request.scope), state.service.owner(picture_id)
    is_own = owner is not None and actor.caller.owns(owner)
    is_cancelled = is_own and state.service.withdraw(picture_id)
    result = "cancelled" if is_cancelled else "unknown" if owner is None or is_own else "foreign"
    audit(state.log, actor, "cancel", target=picture_id, result=result, owner=owner or None)
    if not is_cancelled:
        raise not_found("picture", picture_id, hint="it may be ready, or cancelled already")
    return Cancellation(id=picture_id)
