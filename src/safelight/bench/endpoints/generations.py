"""`POST /v1/images/generations`, as one answer or as a stream with previews."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from safelight.bench.client.http_client import HttpClient
from safelight.bench.client.responses import (
    InvalidJson,
    Response,
    decode_json,
    error_message_in,
    missing_picture,
    parse_json,
)
from safelight.bench.endpoints.endpoint import RequestOptions, ServerMetrics, common_fields, result_of
from safelight.bench.failures import Failure
from safelight.bench.media.inputs import InputKind
from safelight.bench.records import GenerationResult
from safelight.bench.requests import LoadRequest

PATH = "/v1/images/generations"
PREVIEWS = 2
"""How many previews a stream is asked for."""


class Picture(msgspec.Struct):
    """A picture of an answer."""

    b64_json: str | None = None


class ImagesAnswer(msgspec.Struct):
    """The fields that are read from an answer."""

    data: list[Picture] = []
    output_format: str | None = None
    usage: ServerMetrics | None = None
    metrics: ServerMetrics | None = None
    safelight: ServerMetrics | None = None
    peak_memory_mb: object = None
    inference_time_s: object = None

    def to_result(self, response: Response) -> GenerationResult:
        """Return the pictures and metrics; raises Failure."""
        pictures = [picture.b64_json for picture in self.data if picture.b64_json]
        if not pictures:
            raise missing_picture(response)
        top = ServerMetrics(peak_memory_mb=self.peak_memory_mb, inference_time_s=self.inference_time_s)
        metrics = [self.safelight, self.metrics, self.usage, top]
        return result_of(pictures, response.done_s, metrics, format=self.output_format)


def body(request: LoadRequest, options: RequestOptions) -> dict[str, object]:
    """Return the fields of a request for one picture."""
    shape = request.shape
    size = {} if shape.width is None or shape.height is None else {"size": f"{shape.width}x{shape.height}"}
    return {
        "model": options.model,
        "prompt": request.prompt,
        "n": 1,
        **size,
        "response_format": "b64_json",
    } | common_fields(request, options)


@dataclass(frozen=True)
class Generations:
    """Pictures from prompts."""

    name: ClassVar[str] = PATH
    input_kinds: ClassVar[frozenset[InputKind]] = frozenset()
    takes_several_inputs: ClassVar[bool] = False
    returns_videos: ClassVar[bool] = False

    async def send(
        self, request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float
    ) -> GenerationResult:
        """Send a request and return the answer; raises Failure."""
        response = await client.post_json(PATH, body(request, options), until_s=until_s)
        return decode_json(response, ImagesAnswer).to_result(response)


class _Event(msgspec.Struct):
    type: str | None = None
    b64_json: str | None = None
    output_format: str | None = None
    usage: ServerMetrics | None = None
    safelight: ServerMetrics | None = None
    error: object = None


@dataclass(frozen=True)
class StreamedGenerations:
    """Pictures from prompts as a stream, which shows when the first preview arrives."""

    name: ClassVar[str] = f"{PATH}?stream"
    input_kinds: ClassVar[frozenset[InputKind]] = frozenset()
    takes_several_inputs: ClassVar[bool] = False
    returns_videos: ClassVar[bool] = False

    async def send(
        self, request: LoadRequest, options: RequestOptions, client: HttpClient, until_s: float
    ) -> GenerationResult:
        """Send a request and return the answer; raises Failure."""
        wanted = body(request, options) | {"stream": True, "partial_images": PREVIEWS}
        del wanted["response_format"]
        previews_s: list[float] = []
        async with aclosing(client.events(PATH, wanted, until_s=until_s)) as events:
            async for now_s, data in events:
                event = _event(data)
                if event is None:
                    continue
                if event.error:
                    raise Failure("error_body", f"an event of the stream: {error_message_in(data)}")
                if event.type == "image_generation.partial_image":
                    previews_s.append(now_s)
                elif event.type == "image_generation.completed" and event.b64_json:
                    found = result_of(
                        [event.b64_json], now_s, [event.safelight, event.usage], format=event.output_format
                    )
                    found.previews_s = previews_s
                    return found
        raise Failure("no_picture", f"the stream ended after {len(previews_s)} previews and without a picture")


def _event(data: bytes) -> _Event | None:
    if data == b"[DONE]":
        return None
    try:
        return parse_json(data, _Event)
    except InvalidJson as problem:
        raise Failure("not_json", f"an event of the stream: {problem}") from None
