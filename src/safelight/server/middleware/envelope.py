"""The outermost middleware: a request id, a body for unexpected errors, a log line and the metrics of each request."""

import re
import secrets
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.server.errors import UNEXPECTED, problem_code_of
from safelight.server.http_metrics import QUIET_PATHS, HttpMetrics
from safelight.server.logs import Log
from safelight.server.spans import Spans

REQUEST_ID_HEADER = "x-request-id"

_RAW_REQUEST_ID_HEADER = REQUEST_ID_HEADER.encode()

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_UNLOGGED_PATHS = QUIET_PATHS | {"/v1/queue"}
_NO_CODE = "unknown"


class Envelope:
    """Middleware around all others."""

    def __init__(self, app: ASGIApp, *, log: Log, metrics: HttpMetrics, spans: Spans) -> None:
        self._app = app
        self._spans = spans
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._metrics)
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        with self._spans.request(scope, exchange.request_id) as span:
            await self._serve(exchange)
            route = self._metrics.route_of(scope)
            span.answered(route=route, status=exchange.status, code=problem_code_of(scope))
        if exchange.status:
            self._metrics.answered(route, exchange.status)
        self._note(exchange, span.trace_id)

    async def _serve(self, exchange: "_Exchange") -> None:
        scope = exchange.scope
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer and the log gets the rest
            self._log.exception("unexpected error", request_id=exchange.request_id, path=scope["path"])
            if not exchange.status:
                await UNEXPECTED.response()(scope, exchange.receive, exchange.send)

    def _note(self, exchange: "_Exchange", trace_id: str | None) -> None:
        scope, status = exchange.scope, exchange.status
        is_quiet = scope["path"] in _UNLOGGED_PATHS and status < 400
        write = self._log.debug if is_quiet else self._log.info
        write(
            "request",
            request_id=exchange.request_id,
            method=scope["method"],
            path=scope["path"],
            status=status or None,
            code=problem_code_of(scope),
            seconds=round(time.perf_counter() - exchange.began_s, 4),
            **({"tenant": caller.tenant} if (caller := scope["state"].get("caller")) and caller.tenant else {}),
            **({} if trace_id is None else {"trace_id": trace_id}),
        )


class _Exchange:
    """One request with its answer so far.

    Attributes:
        status: of the answer; 0 before it has begun.
        began_s: when the head of the request was there; `arrived_s` when the last part of its body was.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, metrics: HttpMetrics) -> None:
        self.scope = scope
        self.request_id = _request_id(scope)
        self.status = 0
        self.began_s = self.arrived_s = time.perf_counter()
        self._receive = receive
        self._send = send
        self._metrics = metrics

    async def receive(self) -> Message:
        """Receive a part of the body, or the client's departure."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.arrived_s = time.perf_counter()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer, whose head gets the request id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (_RAW_REQUEST_ID_HEADER, self.request_id.encode())]
            if self.status >= 400:
                code = problem_code_of(self.scope) or _NO_CODE
                seconds = time.perf_counter() - self.arrived_s
                self._metrics.refused(self.scope["path"], self.status, code, seconds)
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _ACCEPTED_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
