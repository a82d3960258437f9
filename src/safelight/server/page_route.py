"""The built-in page: three static files, served as they are."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_PAGE = files("safelight.server") / "page"


@router.get("/")
async def index() -> Response:
    """Return the page."""
    return _static("index.html", "text/html; charset=utf-8")


@router.get("/page.css")
async def css() -> Response:
    """Return the page's looks."""
    return _static("page.css", "text/css; charset=utf-8")


@router.get("/page.js")
async def script() -> Response:
    """Return the page's behaviour."""
    return _static("page.js", "text/javascript; charset=utf-8")


def _static(name: str, media_type: str) -> Response:
    return Response((_PAGE / name).read_bytes(), media_type=media_type, headers={"cache-control": "no-cache"})
