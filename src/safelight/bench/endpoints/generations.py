"""`POST /v1/images/generations`, at once or as a stream with previews."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from safelight.bench.client.http_client import Line
from safelight.bench.client.responses import NotJson, Reply, decoded, json_of, no_picture, said_in
from safelight.bench.endpoints.endpoint import Manner, Told, options, served
from safelight.bench.failures import Failure
from safelight.bench.media.inputs import Sort
from safelight.bench.records import Served
from safelight.bench.requests import Ask

PATH = "/v1/images/generations"
PREVIEWS = 2
"""That a stream is asked for."""


class Picture(msgspec.Struct):
    """One of an answer's pictures."""

    b64_json: str | None = None


class ImagesAnswer(msgspec.Struct):
    """What is read of an answer."""

    data: list[Picture] = []
    output_format: str | None = None
    usage: Told | None = None
    metrics: Told | None = None
    safelight: Told | None = None
    peak_memory_mb: object = None
    inference_time_s: object = None

    def served(self, reply: Reply) -> Served:
        """Return what came; raises Failure."""
        pictures = [picture.b64_json for picture in self.data if picture.b64_json]
        if not pictures:
            raise no_picture(reply)
        top = Told(peak_memory_mb=self.peak_memory_mb, inference_time_s=self.inference_time_s)
        told = [self.safelight, self.metrics, self.usage, top]
        return served(pictures, reply.done_s, told, format=self.output_format)


def body(ask: Ask, manner: Manner) -> dict[str, object]:
    """Return the fields of a request for one picture."""
    shape = ask.shape
    size = {} if shape.width is None or shape.height is None else {"size": f"{shape.width}x{shape.height}"}
    return {"model": manner.model, "prompt": ask.prompt, "n": 1, **size, "response_format": "b64_json"} | options(
        ask, manner
    )


@dataclass(frozen=True)
class Generations:
    """Pictures from prompts."""

    name: ClassVar[str] = PATH
    takes: ClassVar[frozenset[Sort]] = frozenset()
    takes_several: ClassVar[bool] = False

    async def ask(self, ask: Ask, manner: Manner, line: Line, until_s: float) -> Served:
        """Send a request and return what came; raises Failure."""
        reply = await line.post_json(PATH, body(ask, manner), until_s=until_s)
        return decoded(reply, ImagesAnswer).served(reply)


class _Event(msgspec.Struct):
    type: str | None = None
    b64_json: str | None = None
    output_format: str | None = None
    usage: Told | None = None
    safelight: Told | None = None
    error: object = None


@dataclass(frozen=True)
class StreamedGenerations:
    """The same as a stream, so that it is known when the first preview came."""

    name: ClassVar[str] = f"{PATH}?stream"
    takes: ClassVar[frozenset[Sort]] = frozenset()
    takes_several: ClassVar[bool] = False

    async def ask(self, ask: Ask, manner: Manner, line: Line, until_s: float) -> Served:
        """Send a request and return what came; raises Failure."""
        wanted = body(ask, manner) | {"stream": True, "partial_images": PREVIEWS}
        del wanted["response_format"]
        previews_s: list[float] = []
        async with aclosing(line.events(PATH, wanted, until_s=until_s)) as events:
            async for now_s, data in events:
                event = _event(data)
                if event is None:
                    continue
                if event.error:
                    raise Failure("error_body", f"an event of the stream: {said_in(data)}")
                if event.type == "image_generation.partial_image":
                    previews_s.append(now_s)
                elif event.type == "image_generation.completed" and event.b64_json:
                    found = served([event.b64_json], now_s, [event.safelight, event.usage], format=event.output_format)
                    found.previews_s = previews_s
                    return found
        raise Failure("no_picture", f"the stream ended after {len(previews_s)} previews and without a picture")


def _event(data: bytes) -> _Event | None:
    if data == b"[DONE]":
        return None
    try:
        return json_of(data, _Event)
    except NotJson as problem:
        raise Failure("not_json", f"an event of the stream: {problem}") from None
