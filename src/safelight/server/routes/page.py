"""The built-in page: static files of one folder, each at a route of its own, so that no request names a file."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response
from starlette.routing import Route

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}

_INDEX = "index.html"
_HEADERS = {"cache-control": "no-cache"}


def _serve(file: Traversable) -> Callable[[], Awaitable[Response]]:
    content, media_type = file.read_bytes(), MEDIA_TYPES[file.name.rpartition(".")[2]]

    async def serve() -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return serve


def _page_router() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    for file in (files("safelight.server") / "page").iterdir():
        if file.name.rpartition(".")[2] in MEDIA_TYPES:
            path = "/" if file.name == _INDEX else f"/{file.name}"
            router.add_api_route(path, _serve(file), methods=["GET"], response_class=Response)
    return router


router = _page_router()

PAGE_PATHS: Final = tuple(route.path for route in router.routes if isinstance(route, Route))
"""Paths of the files of the page."""
