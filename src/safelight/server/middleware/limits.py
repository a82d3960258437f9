"""The body of a request is read before anything else, up to a number of bytes and within a time."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.server.errors import Problem

_MOST_DIGITS = 20
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyLimit:
    """Middleware that answers 413 to a body of more than `max_bytes`, and 408 to one that takes over `within_s`."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, within_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or (scope["method"] in _BODILESS and not _announces_body(scope)):
            await self._app(scope, receive, send)
            return
        if _announced_bytes(scope) > self._max_bytes:
            await self._too_large().response()(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._within_s):
                body = await self._read(receive)
        except TimeoutError:
            await self._too_slow().response()(scope, receive, send)
            return
        if body is None:
            await self._too_large().response()(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the body, or None if it is too large; a disconnect ends the body."""
        body = bytearray()
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                return None
            if not message.get("more_body", False):
                break
        return bytes(body)

    def _too_large(self) -> Problem:
        return Problem(
            status=413,
            message=f"The body is larger than the {self._max_bytes:,} bytes that this server reads.",
            type="invalid_request_error",
            code="body_too_large",
        )

    def _too_slow(self) -> Problem:
        return Problem(
            status=408,
            message=f"The body did not arrive within {self._within_s:g} s.",
            type="invalid_request_error",
            code="body_too_slow",
            headers={"Connection": "close"},
        )


def _announces_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "content-length" in headers or "transfer-encoding" in headers


def _announced_bytes(scope: Scope) -> int:
    announced = Headers(scope=scope).get("content-length", "0")
    return int(announced[:_MOST_DIGITS]) if announced.isdecimal() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
