"""Guards against other web sites (CSRF and DNS rebinding): they may neither change nor read anything here.

A page of another site can send requests to a server on this machine, and with DNS rebinding it can even read the
answers. A server on loopback therefore accepts loopback host names only, and requests that change something must
not come from another origin.
"""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.server.connections.request_head import malformed
from safelight.server.errors import Problem
from safelight.server.middleware.auth import is_loopback

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}

_RAW_SECURITY_HEADERS = {name.encode(): value.encode() for name, value in SECURITY_HEADERS.items()}

HOSTS_REMEMBERED = 128
"""Size of the cache of parsed Host headers; almost all requests have the same."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class BrowserGuard:
    """Middleware that refuses unknown Host headers on a loopback bind, and changing requests of other origins."""

    def __init__(self, app: ASGIApp, *, host: str, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._accepts_any_host = not is_loopback(host)
        self._allowed_hosts = frozenset(name.lower() for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem is not None:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, _with_security_headers(send))

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._accepts_host(host):
            return _forbidden(f"This server does not answer to the host name {_name(host)!r}.", "host_not_allowed")
        if not _name(host) and scope.get("http_version") != "1.0":
            return malformed("The Host header is empty.", "bad_host")
        if scope.get("method") not in _SAFE_METHODS and _is_foreign(headers, host):
            return _forbidden("Pages of other origins may not use this server.", "origin_not_allowed")
        return None

    def _accepts_host(self, host: str) -> bool:
        return self._accepts_any_host or _is_loopback_name(host) or _name(host) in self._allowed_hosts


def _with_security_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = dict(message["headers"])
            added = [header for header in _RAW_SECURITY_HEADERS.items() if header[0] not in given]
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return guarded


@lru_cache(HOSTS_REMEMBERED)
def _name(host: str) -> str:
    """Return the name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


@lru_cache(HOSTS_REMEMBERED)
def _is_loopback_name(host: str) -> bool:
    return is_loopback(_name(host))


def _is_foreign(headers: Headers, host: str) -> bool:
    if headers.get("sec-fetch-site", "same-origin") in {"cross-site", "same-site"}:
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != host.lower()


def _forbidden(message: str, code: str) -> Problem:
    return Problem(status=403, message=message, type="permission_error", code=code)
