"""The ASGI application: routes, middleware and error responses."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import get_args

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from safelight.control.fleet import FleetController
from safelight.core.adapter import AdapterKind
from safelight.core.errors import SafelightError, shorten
from safelight.core.reuse import ReuseScope
from safelight.core.version import __version__
from safelight.server.access import Access
from safelight.server.access_metrics import AccessMetrics
from safelight.server.connections.ledger import ConnectionLedger
from safelight.server.connections.link import ConnectionLink
from safelight.server.connections.metrics import ConnectionMetrics
from safelight.server.errors import Problem, problem_of
from safelight.server.http_metrics import HttpMetrics
from safelight.server.logs import Log, make_log
from safelight.server.middleware.auth import KeyGuard, check_bind
from safelight.server.middleware.browser import BrowserGuard
from safelight.server.middleware.envelope import Envelope
from safelight.server.middleware.limits import RequestLimits
from safelight.server.rehearsal import rehearse
from safelight.server.routes import adapters, chat, edits, generations, health, models, page, queue, reuse
from safelight.server.routes.direct import DirectRoutes, ErrorHandler, Handler
from safelight.server.schema import ApiDocument
from safelight.server.settings import ServerSettings
from safelight.server.spans import NoSpans, Spans
from safelight.server.state import ServerState, TheState
from safelight.server.wire.adapters import AdapterRequest
from safelight.server.wire.chat import ChatRequest
from safelight.server.wire.images import EditRequest, GenerationRequest
from safelight.server.wire.reuse import PurgeRequest
from safelight.server.wire.validation_errors import describe
from safelight.service.clock import MonotonicClock
from safelight.service.metrics import Metrics
from safelight.service.outcome_log import OutcomeLog
from safelight.service.reuse.settings import ReuseMode

REUSE_SCOPES: Mapping[ReuseMode, tuple[ReuseScope, ...]] = {
    "off": (),
    "private": ("private",),
    "shared": ("private", "shared"),
}
ROUTE_MODULES = (generations, edits, chat, models, adapters, queue, reuse, health, page)
_KNOWN_FIELDS = {
    "/v1/images/generations": tuple(GenerationRequest.model_fields),
    "/v1/images/edits": tuple(EditRequest.model_fields),
    "/v1/chat/completions": tuple(ChatRequest.model_fields),
    "/v1/adapters": tuple(AdapterRequest.model_fields),
    "/v1/reuse/purge": tuple(PurgeRequest.model_fields),
}
DIRECT_HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("POST", "/v1/images/generations"): generations.generate_images,
    ("POST", "/v1/images/edits"): edits.edit_images,
    ("POST", "/v1/chat/completions"): chat.complete_chat,
}
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def make_app(
    settings: ServerSettings, log: Log | None = None, *, lost_log_lines: Callable[[], int] = lambda: 0
) -> FastAPI:
    """Return the application; its lifespan starts and ends the workers. Raises CannotServe, KeysFileError.

    Its `state.connections` is the ledger of the connections by which `safelight.server.run` serves it.
    """
    check_bind(settings)
    log = log or make_log()
    metrics = Metrics()
    access = Access(settings, clock=MonotonicClock(), metrics=AccessMetrics(metrics.registry), log=log)
    spans = _spans(settings, metrics, log)
    outcomes = OutcomeLog(
        settings.outcomes, epoch_s=MonotonicClock().epoch_s(), log=log, max_waiting_bytes=settings.max_outcome_bytes
    )

    connections = ConnectionLedger(settings.connections, log=log)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with ServerState(
            settings, access=access, outcomes=outcomes, metrics=metrics, spans=spans, log=log
        ) as state:
            app.state.server = state
            state.metrics.register(ConnectionMetrics(connections, lost_lines=lost_log_lines))
            await rehearse(app)
            yield

    app = FastAPI(
        title="Safelight",
        version=__version__,
        summary="Serves text-to-image diffusion models under deadlines.",
        lifespan=lifespan,
        openapi_url=None,
        separate_input_output_schemas=False,
    )
    app.state.connections = connections
    for module in ROUTE_MODULES:
        app.include_router(module.router)

    document = ApiDocument(app)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(state: TheState) -> Response:
        names = _names(state.service.controller, settings)
        content = await document.content(state.service.named, **names, needs_key=access.needs_key)
        return Response(content, media_type="application/json")

    for kind, handler in _ERROR_HANDLERS.items():
        app.add_exception_handler(kind, handler)
    # The last one added is the outermost.
    app.add_middleware(DirectRoutes, handlers=DIRECT_HANDLERS, error_handlers=_ERROR_HANDLERS)
    app.add_middleware(RequestLimits)
    app.add_middleware(KeyGuard, access=access, log=log)
    app.add_middleware(BrowserGuard, host=settings.host, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(ConnectionLink)
    app.add_middleware(Envelope, log=log, metrics=HttpMetrics(metrics.registry, routes=_paths()), spans=spans)
    return app


def _spans(settings: ServerSettings, metrics: Metrics, log: Log) -> Spans:
    if settings.otlp_traces_url is None:
        return NoSpans()
    from safelight.server.otel_spans import OtelSpans  # noqa: PLC0415 - comes with an extra

    return OtelSpans(settings.otlp_traces_url, registry=metrics.registry, log=log)


async def _safelight_response(_: Request, error: Exception) -> Response:
    return problem_of(error).response()


async def _invalid_response(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return describe(error.errors(), _KNOWN_FIELDS.get(request.url.path, ())).response()


async def _http_response(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {
        400: "The body is not valid JSON in UTF-8.",
        404: f"There is nothing at {shorten(request.url.path)}; GET /openapi.json lists what there is.",
        405: f"{request.method} is not possible at {shorten(request.url.path)}.",
    }
    problem = Problem(
        status=error.status_code,
        message=messages.get(error.status_code, str(error.detail)),
        type="not_found_error" if error.status_code == 404 else "invalid_request_error",
        code=_HTTP_CODES.get(error.status_code, "invalid_request"),
        headers={"Allow": ", ".join(_methods(request))} if error.status_code == 405 else error.headers or {},
    )
    return problem.response()


def _paths() -> frozenset[str]:
    """Return the paths of all routes, as templates."""
    return frozenset(
        route.path for module in ROUTE_MODULES for route in module.router.routes if isinstance(route, Route)
    )


def _methods(request: Request) -> list[str]:
    """Return what is possible at a path, over all routes that share it."""
    routes = [route for module in ROUTE_MODULES for route in module.router.routes if isinstance(route, Route)]
    here = [route for route in routes if route.path_regex.match(request.url.path)]
    return sorted({method for route in here for method in route.methods or ()})


_ERROR_HANDLERS: Mapping[type[Exception], ErrorHandler] = {
    SafelightError: _safelight_response,
    RequestValidationError: _invalid_response,
    HTTPException: _http_response,
}


def _names(controller: FleetController, settings: ServerSettings) -> dict[str, Sequence[str]]:
    """Return what requests may name beside models, for the OpenAPI document."""
    adapters = [adapter.spec for adapter in controller.adapters]
    loras, controls = ([spec.name for spec in adapters if spec.kind == kind] for kind in get_args(AdapterKind))
    return {
        "aliases": tuple(settings.aliases),
        "cascades": [name for name in controller.named if name not in controller.models],
        "loras": loras,
        "controls": controls,
        "reuse_scopes": REUSE_SCOPES[settings.reuse.mode],
    }
