"""Liveness, readiness and metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from safelight.server.routes.openapi_responses import errors
from safelight.server.state import TheState
from safelight.server.wire.health import Health

router = APIRouter(tags=["health"])


@router.get("/health/live", responses=errors(), operation_id="get_liveness")
async def live() -> Health:
    """Report that the server answers; needs no key."""
    return Health(status="alive")


@router.get("/health", responses=errors(503), operation_id="get_health")
@router.get("/health/ready", responses=errors(503), operation_id="get_readiness")
async def ready(state: TheState) -> Health:
    """Say whether a picture asked for now would be painted: 503 while models load and while shutting down."""
    state.service.check_ready()
    return Health(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses=errors()
    | {200: {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    operation_id="get_metrics",
)
async def metrics(state: TheState) -> Response:
    """Return all counters and histograms for Prometheus."""
    return Response(state.metrics.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})
