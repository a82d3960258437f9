"""What each role may do. A route that is not listed here is for administrators, so a new one is guarded by default."""

from collections.abc import Iterable
from re import Pattern
from typing import Final

from starlette.routing import Match, compile_path
from starlette.types import Scope

from safelight.access.caller import Role
from safelight.server.routes.page import PAGE_PATHS

Route = tuple[str, str]
"""Method and path, as the routes declare it."""

HEALTH_ROUTES: Final[frozenset[Route]] = frozenset({("GET", "/health"), ("GET", "/health/ready")})

USER_ROUTES: Final[frozenset[Route]] = HEALTH_ROUTES | frozenset(
    {
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/images/edits"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/images/{picture_id}/content"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model}"),
        ("GET", "/v1/adapters"),
        ("GET", "/v1/adapters/{name}"),
        ("GET", "/v1/queue"),
        ("POST", "/v1/queue/{picture_id}/cancel"),
        ("GET", "/v1/reuse"),
        ("POST", "/v1/reuse/purge"),
        ("GET", "/openapi.json"),
        *(("GET", path) for path in PAGE_PATHS),
    }
)
"""They show and change what belongs to the caller's tenant; what they show of others is in docs/security.md."""

METRICS_ROUTES: Final[frozenset[Route]] = HEALTH_ROUTES | {("GET", "/metrics")}


class _Permission:
    """Some routes, plain ones found at once and those with parameters one after the other."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain = frozenset(route for route in routes if "{" not in route[1])
        self._patterns: list[tuple[str, Pattern[str]]] = [
            (method, compile_path(path)[0]) for method, path in sorted(routes) if "{" in path
        ]

    def covers(self, method: str, path: str) -> bool:
        if (method, path) in self._plain:
            return True
        return any(method == known and pattern.match(path) for known, pattern in self._patterns)


_PERMISSIONS: Final = {"user": _Permission(USER_ROUTES), "metrics": _Permission(METRICS_ROUTES)}


def is_allowed(role: Role, scope: Scope) -> bool:
    """Whether a caller of this role may have the request: always, if no route would take it."""
    if role == "admin":
        return True
    if _PERMISSIONS[role].covers(scope.get("method", ""), scope["path"]):
        return True
    return all(route.matches(scope)[0] is not Match.FULL for route in scope["app"].routes)
