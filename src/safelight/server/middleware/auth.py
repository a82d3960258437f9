"""Every route but liveness requires the API key, so that a new route is guarded by default."""

import base64
import binascii
import hashlib
import hmac
import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.server.errors import Problem, UnsafeBind
from safelight.server.settings import ServerSettings

PUBLIC_PATHS = frozenset({"/health/live"})

NO_KEY = Problem(
    status=401,
    message="This server wants its API key: send it as `Authorization: Bearer KEY`, or as the password of HTTP Basic.",
    type="authentication_error",
    code="invalid_api_key",
    headers={"WWW-Authenticate": 'Basic realm="safelight", charset="UTF-8", Bearer realm="safelight"'},
)

_ANONYMOUS = ""


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
    if not settings.api_key and not is_loopback(settings.host):
        raise UnsafeBind(settings.host)


def caller_of(scope: Scope) -> str:
    """Return a name for the sender of this request; requests with the same key have the same sender."""
    caller: str = scope.get("state", {}).get("caller", _ANONYMOUS)
    return caller


class KeyGuard:
    """Middleware that passes public paths, and requests with the key; all requests if no key is set."""

    def __init__(self, app: ASGIApp, *, api_key: str | None) -> None:
        self._app = app
        self._key = api_key.encode() if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan" or self._key is None or scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        given = _given_key(Headers(scope=scope).get("authorization", ""))
        if given is None or not hmac.compare_digest(given, self._key):
            await NO_KEY.response()(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = hashlib.sha256(given).hexdigest()
        await self._app(scope, receive, send)


def _given_key(authorization: str) -> bytes | None:
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip().encode("latin-1")
        case "basic":
            return _password(credentials.strip())
    return None


def _password(credentials: str) -> bytes | None:
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return None
    _, colon, password = decoded.partition(b":")
    return password if colon else None
