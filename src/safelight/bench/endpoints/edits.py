"""`POST /v1/images/edits`, as a form with files."""

import io
from dataclasses import dataclass
from typing import ClassVar

import aiohttp
import msgspec

from safelight.bench.client.http_client import HttpClient
from safelight.bench.client.responses import decode_json
from safelight.bench.endpoints.endpoint import RequestOptions
from safelight.bench.endpoints.generations import ImagesAnswer, body
from safelight.bench.media.inputs import Input, InputKind
from safelight.bench.records import GenerationResult
from safelight.bench.requests import LoadRequest

PATH = "/v1/images/edits"


@dataclass(frozen=True)
class Edits:
    """Pictures from pictures and prompts."""

    name: ClassVar[str] = PATH
    input_kinds: ClassVar[frozenset[InputKind]] = frozenset({"picture"})
    takes_several_inputs: ClassVar[bool] = True
    returns_videos: ClassVar[bool] = False

    async def send(
        self, request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float
    ) -> GenerationResult:
        """Send a request and return the answer; raises Failure."""
        form = form_of(body(request, options) | ({"bot_task": options.bot_task} if options.bot_task else {}))
        inputs = request.inputs or options.default_inputs
        name = "image" if len(inputs) == 1 else "image[]"
        for number, each in enumerate(inputs):
            add_file(form, name, each, number=number)
        response = await client.exchange("POST", PATH, data=form, until_s=until_s)
        return decode_json(response, ImagesAnswer).to_result(response)


def form_of(fields: dict[str, object]) -> aiohttp.FormData:
    """Return fields as a form: text unchanged, other values as JSON."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
    return form


def add_file(form: aiohttp.FormData, name: str, file: Input, *, number: int = 0) -> None:
    """Add a picture or video to a form."""
    form.add_field(name, io.BytesIO(file.content), filename=f"{number}.{file.ending}", content_type=file.media_type)
