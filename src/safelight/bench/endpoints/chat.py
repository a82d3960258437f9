"""`POST /v1/chat/completions` in vLLM-Omni's format for images, with options in `extra_body`."""

from dataclasses import dataclass
from typing import ClassVar

import msgspec

from safelight.bench.client.http_client import HttpClient
from safelight.bench.client.responses import Response, decode_json, missing_picture
from safelight.bench.endpoints.endpoint import RequestOptions, ServerMetrics, common_fields, inputs_for, result_of
from safelight.bench.failures import Failure
from safelight.bench.media.inputs import ADDRESSES, InputKind
from safelight.bench.records import GenerationResult
from safelight.bench.requests import LoadRequest
from safelight.core.errors import shorten

PATH = "/v1/chat/completions"


class _Url(msgspec.Struct):
    url: str | None = None


class _Part(msgspec.Struct):
    image_url: _Url | None = None
    stage_durations: object = None
    peak_memory_mb: object = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None


class _Choice(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)


class _ChatAnswer(msgspec.Struct):
    choices: list[_Choice] = []
    metrics: ServerMetrics | None = None
    safelight: ServerMetrics | None = None


@dataclass(frozen=True)
class Chat:
    """Pictures in answer to a chat message."""

    name: ClassVar[str] = PATH
    input_kinds: ClassVar[frozenset[InputKind]] = frozenset({"picture", "address"})
    takes_several_inputs: ClassVar[bool] = True
    returns_videos: ClassVar[bool] = False

    async def send(
        self, request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float
    ) -> GenerationResult:
        """Send a request and return the answer; raises Failure."""
        response = await client.post_json(PATH, _body(request, options), until_s=until_s)
        return _result_of(decode_json(response, _ChatAnswer), response)


def _body(request: LoadRequest, options: RequestOptions) -> dict[str, object]:
    content: object = request.prompt
    if inputs := inputs_for(request, options):
        shown = [{"type": "image_url", "image_url": {"url": each.url}} for each in inputs]
        content = [{"type": "text", "text": request.prompt}, *shown]
    shape = request.shape
    extra_body = common_fields(request, options)
    if shape.width is not None and shape.height is not None:
        extra_body |= {"height": shape.height, "width": shape.width}
    if shape.frames is not None:
        extra_body["num_frames"] = shape.frames
    if request.fps is not None:
        extra_body["fps"] = request.fps
    if options.returns_stage_metrics:
        extra_body["return_stage_metrics"] = True
    return {"model": options.model, "messages": [{"role": "user", "content": content}], "extra_body": extra_body}


def _base64_of(url: str) -> str:
    if url.startswith(ADDRESSES):
        raise Failure("no_picture", f"there is only the picture's address, which is not fetched: {shorten(url)}")
    return url.partition(",")[2]


def _result_of(answer: _ChatAnswer, response: Response) -> GenerationResult:
    parts = [
        part for choice in answer.choices if isinstance(choice.message.content, list) for part in choice.message.content
    ]
    pictures = [_base64_of(part.image_url.url) for part in parts if part.image_url and part.image_url.url]
    if not pictures:
        raise missing_picture(response)
    per_part = [
        ServerMetrics(stage_durations=part.stage_durations, peak_memory_mb=part.peak_memory_mb) for part in parts
    ]
    return result_of(pictures, response.done_s, [answer.safelight, *per_part, answer.metrics])
