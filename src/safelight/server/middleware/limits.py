"""Limits of a request: its address and encoding first, then its body, which is read before anything else."""

import asyncio
import io
from functools import partial
from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.core.errors import RequestError
from safelight.server.bodies import Bodies, HeldBody
from safelight.server.errors import HttpError, busy, problem_of
from safelight.server.json_scan import check_json
from safelight.server.settings import ServerSettings
from safelight.server.wire.bodies import FORM
from safelight.service.metrics import Metrics

MAX_PATH_BYTES = 2 << 10
MAX_QUERY_BYTES = 4 << 10

BUSY_RETRY_S = 2.0
"""When a client may try again that finds no room for its body."""

_MOST_DIGITS = 20
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class LimitedServer(Protocol):
    """What the middleware uses of the server's state."""

    settings: ServerSettings
    bodies: Bodies
    metrics: Metrics


class RequestLimits:
    """Middleware that refuses what is too much; the limits are those of the server's settings.

    A body is counted by the server's budget from its first byte until its request has ended, or has released it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: LimitedServer = scope["app"].state.server
        body = HeldBody(state.bodies)
        try:
            try:
                _check_head(scope)
                has_body = _has_body(scope)
                is_whole = not has_body or await _receive(scope, receive, body, state)
            except (HttpError, RequestError) as error:
                problem = problem_of(error)
                state.metrics.of_bodies.refused(problem.code)
                body.release()
                await problem.response()(scope, receive, send)
                return
            if is_whole:
                body.attach(scope)
                await self._app(scope, body.replay(receive) if has_body else receive, send)
        finally:
            body.release()


def _check_head(scope: Scope) -> None:
    """Refuse an address that is too long, and an encoded body; raises HttpError."""
    if len(scope.get("raw_path") or scope["path"]) > MAX_PATH_BYTES or len(scope["query_string"]) > MAX_QUERY_BYTES:
        raise HttpError(
            f"The address is too long; its path may have {MAX_PATH_BYTES:,} bytes and its query {MAX_QUERY_BYTES:,}.",
            status=414,
            code="address_too_long",
        )
    encoding = Headers(scope=scope).get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", ""}:
        raise HttpError(
            "The body has a Content-Encoding; send it as it is, without compression.",
            status=415,
            code="unsupported_content_encoding",
        )


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return scope["method"] not in _BODILESS or "content-length" in headers or "transfer-encoding" in headers


async def _receive(scope: Scope, receive: Receive, body: HeldBody, state: LimitedServer) -> bool:
    """Receive and check a body; False if the client has left meanwhile. Raises HttpError or RequestError."""
    settings = state.settings
    announced = _announced_bytes(scope)
    if announced > settings.max_body_bytes:
        raise _too_large(settings.max_body_bytes)
    if not state.bodies.budget.has_room(announced, more_bytes=announced):
        raise busy("bodies of other requests fill the memory for them", BUSY_RETRY_S)
    content = await _read(receive, body, settings)
    if content is None:
        return False
    if content and _media_type(scope) != FORM:
        await body.run(partial(check_json, content, settings.json_limits))
    body.put(content)
    return True


async def _read(receive: Receive, body: HeldBody, settings: ServerSettings) -> bytes | None:
    """Return the bytes of a body as one copy, or None if the client has left; raises HttpError."""
    clock = asyncio.get_running_loop().time
    buffer = io.BytesIO()
    ends_at_s = clock() + settings.body_read_s
    while True:
        pause_ends_at_s = clock() + settings.body_idle_s
        try:
            async with asyncio.timeout_at(min(ends_at_s, pause_ends_at_s)):
                message = await receive()
        except TimeoutError:
            raise _too_slow(settings.body_read_s, settings.body_idle_s) from None
        if message["type"] != "http.request":
            return None
        piece = message.get("body", b"")
        if buffer.tell() + len(piece) > settings.max_body_bytes:
            raise _too_large(settings.max_body_bytes)
        if not body.grow(len(piece)):
            raise busy("bodies of other requests fill the memory for them", BUSY_RETRY_S)
        buffer.write(piece)
        if not message.get("more_body", False):
            return buffer.getvalue()


def _media_type(scope: Scope) -> str:
    return Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()


def _announced_bytes(scope: Scope) -> int:
    announced = Headers(scope=scope).get("content-length", "0")
    return int(announced[:_MOST_DIGITS]) if announced.isascii() and announced.isdecimal() else 0


def _too_large(max_bytes: int) -> HttpError:
    return HttpError(
        f"The body is larger than the {max_bytes:,} bytes that this server reads.", status=413, code="body_too_large"
    )


def _too_slow(within_s: float, idle_s: float) -> HttpError:
    return HttpError(
        f"The body did not arrive within {within_s:g} s, or nothing of it within {idle_s:g} s.",
        status=408,
        code="body_too_slow",
        headers={"Connection": "close"},
    )
