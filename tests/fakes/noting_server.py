"""The null server with somebody beside it who notes what comes: JSON as it is, forms part by part."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from safelight.bench.null_server import MOST_BODY_BYTES, NullServer, NullSettings


@dataclass(frozen=True)
class Part:
    """A file in a form."""

    name: str
    file_name: str
    kind: str
    content: bytes


@dataclass
class Noted:
    """A request: `said` is JSON, or the fields of a form."""

    path: str
    said: dict
    files: list[Part] = field(default_factory=list)


async def _noted(request):
    if request.content_type == "application/json":
        return Noted(request.path, json.loads(await request.read()))
    noted = Noted(request.path, {})
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            noted.files.append(Part(name, value.filename, value.content_type, value.file.read()))
        else:
            noted.said[name] = value
    return noted


@asynccontextmanager
async def noting_server(seen):
    """Serve, and append every POST to `seen`; yields the address."""
    null = NullServer(NullSettings())

    async def answer(request):
        if request.method == "POST":
            seen.append(await _noted(request))
        return await null(request)

    app = web.Application(client_max_size=MOST_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
