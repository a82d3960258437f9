"""Does at the start what requests do later, so that no request is the first to load a module or to open a file."""

import contextlib
from typing import Final

import anyio
from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import Message

from safelight.access.caller import ANONYMOUS
from safelight.core.errors import SafelightError

PATHS: Final = (
    "/",
    "/health/live",
    "/metrics",
    "/openapi.json",
    "/v1/adapters",
    "/v1/images/none/content",
    "/v1/models",
    "/v1/queue",
)
"""Routes of FastAPI's; each reads its own source file at its first request."""


async def rehearse(app: FastAPI) -> None:
    """Request each of `PATHS` below all middleware of ours, which would want a key and write log lines."""
    async with anyio.create_task_group():
        pass  # anyio loads its parts for asyncio, which streams need
    routes = AsyncExitStackMiddleware(app.router)
    for path in PATHS:
        scope: dict[str, object] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [],
            "app": app,
            "state": {"caller": ANONYMOUS},
        }
        with contextlib.suppress(SafelightError):
            await routes(scope, _receive, _send)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    """Nobody reads the answers."""
