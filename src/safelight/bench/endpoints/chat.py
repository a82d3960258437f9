"""`POST /v1/chat/completions` in the shape of vLLM-Omni's images: options are nested in `extra_body`."""

from dataclasses import dataclass
from typing import ClassVar

import msgspec

from safelight.bench.client.http_client import Line
from safelight.bench.client.responses import Reply, decoded, no_picture
from safelight.bench.endpoints.endpoint import Manner, Told, options, served, starts_of
from safelight.bench.failures import Failure
from safelight.bench.media.inputs import ADDRESSES, Sort
from safelight.bench.records import Served
from safelight.bench.requests import Ask
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
    metrics: Told | None = None
    safelight: Told | None = None


@dataclass(frozen=True)
class Chat:
    """Pictures as the answer to a message."""

    name: ClassVar[str] = PATH
    takes: ClassVar[frozenset[Sort]] = frozenset({"picture", "address"})
    takes_several: ClassVar[bool] = True

    async def ask(self, ask: Ask, manner: Manner, line: Line, until_s: float) -> Served:
        """Send a request and return what came; raises Failure."""
        reply = await line.post_json(PATH, _body(ask, manner), until_s=until_s)
        return _served(decoded(reply, _ChatAnswer), reply)


def _body(ask: Ask, manner: Manner) -> dict[str, object]:
    content: object = ask.prompt
    if starts := starts_of(ask, manner):
        shown = [{"type": "image_url", "image_url": {"url": each.url}} for each in starts]
        content = [{"type": "text", "text": ask.prompt}, *shown]
    shape = ask.shape
    extra = options(ask, manner)
    if shape.width is not None and shape.height is not None:
        extra |= {"height": shape.height, "width": shape.width}
    if shape.frames is not None:
        extra["num_frames"] = shape.frames
    if ask.fps is not None:
        extra["fps"] = ask.fps
    if manner.returns_stage_metrics:
        extra["return_stage_metrics"] = True
    return {"model": manner.model, "messages": [{"role": "user", "content": content}], "extra_body": extra}


def _base64_in(url: str) -> str:
    if url.startswith(ADDRESSES):
        raise Failure("no_picture", f"there is only the picture's address, which is not fetched: {shorten(url)}")
    return url.partition(",")[2]


def _served(answer: _ChatAnswer, reply: Reply) -> Served:
    parts = [
        part for choice in answer.choices if isinstance(choice.message.content, list) for part in choice.message.content
    ]
    pictures = [_base64_in(part.image_url.url) for part in parts if part.image_url and part.image_url.url]
    if not pictures:
        raise no_picture(reply)
    beside = [Told(stage_durations=part.stage_durations, peak_memory_mb=part.peak_memory_mb) for part in parts]
    return served(pictures, reply.done_s, [answer.safelight, *beside, answer.metrics])
