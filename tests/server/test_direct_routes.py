"""Routes that paint are called without FastAPI, and are the same as FastAPI's."""

import asyncio

import pytest
from fastapi.routing import APIRoute
from starlette.responses import Response

from safelight.server.app import DIRECT_HANDLERS, ROUTE_MODULES
from safelight.server.routes.direct import DirectRoutes


async def painted(_):
    return Response(b"painted")


async def broken(_):
    raise KeyError("known")


async def told(request, error):
    return Response(f"{request.url.path} {error!r}".encode())


async def application(scope, receive, send):
    await Response(b"application")(scope, receive, send)


def body_of(method, path):
    """Return the body of the response to one request."""
    routes = DirectRoutes(
        application,
        handlers={("POST", "/paint"): painted, ("POST", "/break"): broken},
        error_handlers={LookupError: told},
    )
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "server": ("a", 80)}
    asyncio.run(routes(scope, None, send))
    return sent[-1]["body"]


def test_a_direct_route_is_answered_by_its_handler():
    assert body_of("POST", "/paint") == b"painted"


@pytest.mark.parametrize(("method", "path"), [("GET", "/paint"), ("POST", "/paint/"), ("POST", "/other")])
def test_every_other_request_goes_to_the_application(method, path):
    assert body_of(method, path) == b"application"


def test_an_error_is_answered_by_the_handler_of_its_class():
    assert body_of("POST", "/break") == b"/break KeyError('known')"


@pytest.mark.parametrize("key", DIRECT_HANDLERS)
def test_the_application_has_each_direct_route_with_the_same_handler(key):
    routes = [route for module in ROUTE_MODULES for route in module.router.routes if isinstance(route, APIRoute)]
    (route,) = [route for route in routes if (*route.methods, route.path) == key]
    assert route.endpoint is DIRECT_HANDLERS[key]
