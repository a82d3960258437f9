"""Answers of a server, as values. Fields that a newer server adds are ignored."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, TypeVar

import msgspec

from safelight.api.errors import NotSafelight, RequestRefused, ServerBusy, ServerError
from safelight.core.errors import WorkFailed
from safelight.core.provenance import Provenance

Answer = TypeVar("Answer")

DATA = "data: "


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request for pictures."""

    class File(msgspec.Struct, frozen=True, kw_only=True):
        """A picture file in base64."""

        b64_json: str

    data: tuple[File, ...]
    output_format: str
    safelight: Provenance


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request failed."""

    message: str
    code: str | None = None
    param: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A server-sent event: a preview, a picture or a failure."""

    type: str = ""
    partial_image_index: int = 0
    b64_json: str = ""
    output_format: str = "png"
    safelight: Provenance | None = None
    error: Problem | None = None


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server has, and what a request may ask of it.

    Attributes:
        size: default size, as `WIDTHxHEIGHT`; sides are multiples of `size_multiple` and at most `max_side`.
        steps: default number of denoising steps.
    """

    name: str
    family: str
    size: str
    size_multiple: int
    max_side: int
    steps: int
    guidance_scale: float
    sampler: str
    samplers: tuple[str, ...]


class ServedAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA or a ControlNet that requests may name; `pictures` that use it wait or run."""

    name: str = msgspec.field(name="id")
    kind: Literal["lora", "controlnet"]
    model: str
    ranks: tuple[int, ...]
    parts: tuple[str, ...]
    weights_bytes: int
    pictures: int


class QueuedPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that waits or runs; `preview` is a PNG file as a data URL."""

    id: str
    prompt: str
    model: str
    state: Literal["waiting", "running"]
    step: int
    steps: int
    age_s: float
    expected_s: float | None = None
    worker: str | None = None
    preview: str | None = None


class QueueWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process and how many pictures it holds."""

    name: str
    models: tuple[str, ...]
    rows: int
    state: Literal["starting", "ready", "suspected"]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What waits and runs; throughput and latencies are those of the last minute."""

    pictures: tuple[QueuedPicture, ...] = msgspec.field(name="requests")
    workers: tuple[QueueWorker, ...]
    waiting: int
    running: int
    throughput_per_s: float
    latency_p50_s: float | None = None
    latency_p95_s: float | None = None


class Adapters(msgspec.Struct, frozen=True, kw_only=True):
    """All adapters of a server."""

    data: tuple[ServedAdapter, ...]


class _Models(msgspec.Struct, frozen=True):
    class Card(msgspec.Struct, frozen=True):
        id: str
        safelight: dict[str, object]

    data: tuple[Card, ...]


class _Failure(msgspec.Struct, frozen=True):
    error: Problem


def decode(content: bytes, kind: type[Answer], *, url: str) -> Answer:
    """Return an answer's content; raises NotSafelight if it is none."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotSafelight(url) from None


def models_of(content: bytes, *, url: str) -> list[ServedModel]:
    """Return the models that an answer lists; raises NotSafelight if it is none."""
    cards = decode(content, _Models, url=url).data
    try:
        return [msgspec.convert({"name": card.id} | card.safelight, ServedModel) for card in cards]
    except msgspec.ValidationError:
        raise NotSafelight(url) from None


def event_in(line: str, *, url: str) -> Event | None:
    """Return the event that a line of a stream carries, if any.

    Raises:
        WorkFailed: if the event says that the server gave up the picture.
        NotSafelight: if the line carries something else.
    """
    if not line.startswith(DATA + "{"):
        return None
    event = decode(line.removeprefix(DATA).encode(), Event, url=url)
    if event.error is not None:
        raise WorkFailed(event.error.message, reason=event.error.code or "failed")
    return event


def failure_of(status: int, headers: Mapping[str, str], content: bytes) -> ServerError | WorkFailed:
    """Return the error for an answer that is not a success."""
    try:
        problem = msgspec.json.decode(content, type=_Failure).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = Problem(message=f"The server answered with status {status} and does not say why.")
    if problem.code and status in {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.GONE, HTTPStatus.GATEWAY_TIMEOUT}:
        return WorkFailed(problem.message, reason=problem.code)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return ServerBusy(
            problem.message,
            status=status,
            code=problem.code,
            param=problem.param,
            retry_after_s=_seconds(headers.get("retry-after", "")),
        )
    return RequestRefused(problem.message, status=status, code=problem.code, param=problem.param)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None
