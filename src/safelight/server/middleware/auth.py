"""Every route but liveness requires a key, and each one a role, so that a new route is guarded by default."""

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.access.caller import Caller
from safelight.core.errors import shorten
from safelight.core.log import Log
from safelight.server.access import Access
from safelight.server.audit import audit
from safelight.server.callers import actor_of, peer_of
from safelight.server.errors import Problem, UnsafeBind
from safelight.server.middleware.roles import is_allowed
from safelight.server.settings import ServerSettings

PUBLIC_PATHS = frozenset({"/health/live"})


def is_loopback(host: str) -> bool:
    """Whether `host` is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(settings: ServerSettings) -> None:
    """Raise UnsafeBind for a server that listens beyond this machine without a key."""
    if not settings.api_key and settings.keys is None and not is_loopback(settings.host):
        raise UnsafeBind(settings.host)


class KeyGuard:
    """Middleware that passes public paths, and requests whose key allows them; it notes the caller for the routes."""

    def __init__(self, app: ASGIApp, *, access: Access, log: Log) -> None:
        self._app = app
        self._access = access
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan" or scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        caller = self._access.identify(given, peer_of(scope))
        if isinstance(caller, Problem):
            await caller.response()(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        if not is_allowed(caller.role, scope):
            target = f"{scope.get('method', '')} {scope['path']}"
            audit(self._log, actor_of(scope), "use_route", target=target, result="role_not_allowed")
            await _forbidden(caller, scope).response()(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _forbidden(caller: Caller, scope: Scope) -> Problem:
    return Problem(
        status=403,
        message=f"A key with the role {caller.role!r} cannot {scope.get('method', '')} {shorten(scope['path'])}.",
        type="permission_error",
        code="role_not_allowed",
    )
