"""Metrics of HTTP: requests by route and status, and how long a refusal takes."""

from collections.abc import Set as AbstractSet
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope

OTHER_ROUTE: Final = "other"
"""Stands for all paths that are no route, so that clients cannot make up values of the label."""

REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 415, 422, 429, 431, 503})
"""Statuses of requests that were refused before any work was done for them."""

QUIET_PATHS: Final = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
"""Paths that are asked again and again; their answers are no refusals."""

_ENDED = frozenset({"shut_down"})
"""Codes of answers with one of those statuses whose work had begun."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class HttpMetrics:
    """Counts answers; codes of problems are a fixed set, since the server's code names them."""

    def __init__(self, registry: CollectorRegistry, *, routes: AbstractSet[str]) -> None:
        self._routes = routes
        self._requests = Counter(
            "safelight_http_requests",
            "HTTP requests that were answered, by route and status.",
            ["route", "status"],
            registry=registry,
        )
        self._counters: dict[tuple[str | None, int], Counter] = {}
        self._refusal = Histogram(
            "safelight_refusal_seconds",
            "From the arrival of the whole request to its refusal, by the code of the error.",
            ["reason"],
            buckets=_SECONDS,
            registry=registry,
        )

    def route_of(self, scope: Scope) -> str | None:
        """Return the template of the path of a request that has been dispatched; None if it is no route."""
        route = str(getattr(scope.get("route"), "path", scope["path"]))
        return route if route in self._routes else None

    def answered(self, route: str | None, status: int) -> None:
        """Count one answer."""
        known = self._counters.get((route, status))
        if known is None:
            known = self._counters[route, status] = self._requests.labels(route or OTHER_ROUTE, status)
        known.inc()

    def refused(self, path: str, status: int, code: str, seconds: float) -> None:
        """Count one answer if it is a refusal."""
        if status in REFUSALS and path not in QUIET_PATHS and code not in _ENDED:
            self._refusal.labels(code).observe(seconds)
