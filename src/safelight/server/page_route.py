"""The built-in page: static files, served as they are."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from safelight.server.errors import not_found

router = APIRouter(include_in_schema=False)

_PAGE = files("safelight.server") / "page"
_MODULES = frozenset(file.name for file in _PAGE.iterdir() if file.name.endswith(".js"))
"""Only names listed here reach the disk."""


@router.get("/")
async def index() -> Response:
    """Return the page."""
    return _static("index.html", "text/html; charset=utf-8")


@router.get("/page.css")
async def css() -> Response:
    """Return the page's looks."""
    return _static("page.css", "text/css; charset=utf-8")


@router.get("/{module}.js")
async def script(module: str) -> Response:
    """Return one module of the page's behaviour."""
    name = f"{module}.js"
    if name not in _MODULES:
        raise not_found("module", name, hint="the page names those that there are")
    return _static(name, "text/javascript; charset=utf-8")


def _static(name: str, media_type: str) -> Response:
    return Response((_PAGE / name).read_bytes(), media_type=media_type, headers={"cache-control": "no-cache"})
