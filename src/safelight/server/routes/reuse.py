"""`/v1/reuse`: what is kept of earlier pictures, and a route to drop them."""

from fastapi import APIRouter, Request

from safelight.server.audit import audit
from safelight.server.callers import actor_of, caller_of
from safelight.server.errors import not_found
from safelight.server.routes.openapi_responses import errors
from safelight.server.state import TheState
from safelight.server.wire.reuse import Purged, PurgeRequest, ReuseSavings, ReuseView

router = APIRouter(tags=["reuse"])


@router.get("/v1/reuse", responses=errors(), operation_id="get_reuse")
async def get_reuse(request: Request, state: TheState) -> ReuseView:
    """Return what is kept of the caller's tenant, or of all for an administrator."""
    caller = caller_of(request.scope)
    reuse = state.service.reuse
    tenant = None if caller.is_admin else caller.tenant
    kept = reuse.kept(tenant)
    return ReuseView(
        mode=reuse.settings.mode,
        tenant=tenant,
        entries=kept.entries,
        size_bytes=kept.size_bytes,
        limit_bytes=kept.limit_bytes,
        oldest_s=kept.oldest_s,
        models=dict(kept.models),
        savings=ReuseSavings.model_validate(state.metrics.of_reuse.totals) if caller.is_admin else None,
    )


@router.post("/v1/reuse/purge", responses=errors(400, 404), operation_id="purge_reuse")
async def purge_reuse(body: PurgeRequest, request: Request, state: TheState) -> Purged:
    """Drop earlier pictures, in memory and on disk. Those that are being painted now are kept when they are ready."""
    actor = actor_of(request.scope)
    caller = actor.caller
    tenant = body.tenant if caller.is_admin or body.tenant is not None else caller.tenant
    is_own = caller.is_admin or tenant == caller.tenant
    dropped = state.service.reuse.purge(owner=tenant, prompt=body.prompt) if is_own else 0
    result = "done" if is_own else "foreign"
    audit(state.log, actor, "purge", target="reuse", result=result, owner=tenant, dropped=dropped)
    if not is_own:
        raise not_found("tenant", tenant or "", hint="a key drops the pictures of its own tenant")
    return Purged(dropped=dropped)
