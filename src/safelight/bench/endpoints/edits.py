"""`POST /v1/images/edits`, as a form with files."""

import io
from dataclasses import dataclass
from typing import ClassVar

import aiohttp
import msgspec

from safelight.bench.client.http_client import Line
from safelight.bench.client.responses import decoded
from safelight.bench.endpoints.endpoint import Manner
from safelight.bench.endpoints.generations import ImagesAnswer, body
from safelight.bench.media.inputs import Input, Sort
from safelight.bench.records import Served
from safelight.bench.requests import Ask

PATH = "/v1/images/edits"


@dataclass(frozen=True)
class Edits:
    """Pictures from pictures and prompts."""

    name: ClassVar[str] = PATH
    takes: ClassVar[frozenset[Sort]] = frozenset({"picture"})
    takes_several: ClassVar[bool] = True

    async def ask(self, ask: Ask, manner: Manner, line: Line, until_s: float) -> Served:
        """Send a request and return what came; raises Failure."""
        form = form_of(body(ask, manner) | ({"bot_task": manner.bot_task} if manner.bot_task else {}))
        starts = ask.inputs or manner.starts
        name = "image" if len(starts) == 1 else "image[]"
        for number, each in enumerate(starts):
            add_file(form, name, each, number=number)
        reply = await line.exchange("POST", PATH, data=form, until_s=until_s)
        return decoded(reply, ImagesAnswer).served(reply)


def form_of(fields: dict[str, object]) -> aiohttp.FormData:
    """Return fields as a form: text as it is, all else as JSON."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
    return form


def add_file(form: aiohttp.FormData, name: str, file: Input, *, number: int = 0) -> None:
    """Put a picture or video into a form."""
    form.add_field(name, io.BytesIO(file.content), filename=f"{number}.{file.ending}", content_type=file.media_type)
