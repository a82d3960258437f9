"""`POST /v1/images/edits`, as a form with files."""

from dataclasses import dataclass
from typing import ClassVar

import aiohttp
import msgspec

from safelight.bench.asks import Ask
from safelight.bench.endpoints.endpoint import Manner
from safelight.bench.endpoints.generations import ImagesAnswer, body
from safelight.bench.line import Line, decoded
from safelight.bench.records import Served

PATH = "/v1/images/edits"


@dataclass(frozen=True)
class Edits:
    """Pictures from pictures and prompts."""

    name: ClassVar[str] = PATH

    async def ask(self, ask: Ask, manner: Manner, line: Line) -> Served:
        """Send a request and return what came; raises Failure."""
        form = form_of(body(ask, manner) | ({"bot_task": manner.bot_task} if manner.bot_task else {}))
        name = "image" if len(manner.pictures) == 1 else "image[]"
        for number, picture in enumerate(manner.pictures):
            form.add_field(name, picture, filename=f"{number}.png", content_type="image/png")
        reply = await line.exchange("POST", PATH, data=form)
        return decoded(reply, ImagesAnswer).served(reply)


def form_of(fields: dict[str, object]) -> aiohttp.FormData:
    """Return fields as a form: text as it is, all else as JSON."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
    return form
