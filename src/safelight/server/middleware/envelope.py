"""The outermost middleware: adds a request id, a generic body for unexpected errors, and a log line per request."""

import re
import secrets
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.server.errors import UNEXPECTED
from safelight.server.logs import Log

REQUEST_ID_HEADER = "x-request-id"

_RAW_REQUEST_ID_HEADER = REQUEST_ID_HEADER.encode()

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_QUIET_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/metrics", "/v1/queue"})


class Envelope:
    """Middleware around all others."""

    def __init__(self, app: ASGIApp, *, log: Log) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        request_id = _request_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def labelled(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_RAW_REQUEST_ID_HEADER, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, labelled)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer and the log gets the rest
            self._log.exception("unexpected error", request_id=request_id, path=scope["path"])
            if not status:
                await UNEXPECTED.response()(scope, receive, labelled)
        level = "debug" if scope["path"] in _QUIET_PATHS and status < 400 else "info"
        getattr(self._log, level)(
            "request",
            request_id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=status or None,
            seconds=round(time.perf_counter() - began_s, 4),
            **({"tenant": caller.tenant} if (caller := state.get("caller")) and caller.tenant else {}),
        )


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _ACCEPTED_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
