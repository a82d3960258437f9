"""A server that answers at once, for trying and measuring the client.

It has all endpoints of the benchmark, and answers with small PNG files whose colours depend on the
prompt, or with videos of them. With `workers` and times it behaves like a queue before that many machines, which has a
maximum rate.
"""

import asyncio
import base64
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

import msgspec
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from safelight.bench.media.quicktime import movie_of

BLOCKS = 8
SIDE = 64
MOST_SIDE = 4096
FRAMES = 8
FPS = 16
MOST_FRAMES = 1024
MOST_FPS = 240
MOST_VIDEO_BYTES = 64 << 20
MOST_JOBS = 10_000
MOST_BODY_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class NullSettings:
    """The behaviour of the null server.

    Attributes:
        fixed_s: seconds of every picture.
        step_s: seconds of each of its steps.
        workers: limit of pictures in progress; None means no limit.
        queue: limit of waiting pictures, beyond which requests are rejected with 429; None means no limit.
    """

    fixed_s: float = 0.0
    step_s: float = 0.0
    workers: int | None = None
    queue: int | None = None


class _ImageRequest(msgspec.Struct):
    prompt: str = ""
    model: str = "null"
    size: str | None = None
    width: int | None = None
    height: int | None = None
    num_frames: int | None = None
    fps: int | None = None
    num_inference_steps: int | None = None
    stream: bool = False
    partial_images: int = 0

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height."""
        if self.size and self.size != "auto":
            width, _, height = self.size.partition("x")
            return _side(int(width)), _side(int(height))
        return _side(self.width or SIDE), _side(self.height or SIDE)

    @property
    def length(self) -> tuple[int, int]:
        """Frames, and frames per second, of a video."""
        frames, fps = self.num_frames or FRAMES, self.fps or FPS
        if not 1 <= frames <= MOST_FRAMES or not 1 <= fps <= MOST_FPS:
            raise ValueError(
                f"{frames} frames, {fps} a second; there may be 1 to {MOST_FRAMES} frames, 1 to {MOST_FPS} a second"
            )
        return frames, fps


class _Content(msgspec.Struct):
    text: str = ""


class _ChatMessage(msgspec.Struct):
    content: str | list[_Content] = ""


class _ChatRequest(msgspec.Struct):
    messages: list[_ChatMessage] = []
    extra_body: _ImageRequest = msgspec.field(default_factory=_ImageRequest)

    @property
    def image_request(self) -> _ImageRequest:
        """The request for a picture."""
        content = self.messages[-1].content if self.messages else ""
        text = content if isinstance(content, str) else "\n".join(part.text for part in content)
        return msgspec.structs.replace(self.extra_body, prompt=text)


def _side(value: int) -> int:
    if not 1 <= value <= MOST_SIDE:
        raise ValueError(f"a side of {value} pixels; there may be 1 to {MOST_SIDE}")
    return value


def png_of(prompt: str, width: int, height: int) -> bytes:
    """Return a PNG file: a pattern in colours that depend on the prompt."""
    seed = zlib.crc32(prompt.encode())
    colours = bytes((seed >> shift & 255) ^ mask for mask in (0, 85, 170, 255) for shift in (0, 8, 16))
    colours += bytes((seed >> 24, 255 - (seed >> 24), 128))
    start, end = _frame(width, height)
    return start + _chunk(b"PLTE", colours) + end


def video_of(prompt: str, width: int, height: int, frames: int, fps: int) -> bytes:
    """Return a QuickTime file, each of whose frames is another picture."""
    pictures = [png_of(f"{number} {prompt}", width, height) for number in range(frames)]
    return movie_of(pictures, width=width, height=height, fps=fps)


@lru_cache(maxsize=64)
def _frame(width: int, height: int) -> tuple[bytes, bytes]:
    """Return the parts of a PNG file before and after the palette."""
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = [
        b"\0" + bytes((x * BLOCKS // width + y * BLOCKS // height) % 5 for x in range(width)) for y in range(height)
    ]
    data = zlib.compress(b"".join(rows), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header), _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class _QueueFull(Exception):
    """The queue is full."""


@dataclass
class _Workers:
    """Paints a limited number of pictures at a time."""

    settings: NullSettings
    waiting: int = 0
    _slots: asyncio.Semaphore | None = field(init=False)

    def __post_init__(self) -> None:
        workers = self.settings.workers
        self._slots = None if workers is None else asyncio.Semaphore(workers)

    async def paint(self, image_request: _ImageRequest) -> tuple[bytes, float, float]:
        """Return a picture, and the seconds that it waited and took."""
        width, height = image_request.sides
        service_s = self.settings.fixed_s + self.settings.step_s * (image_request.num_inference_steps or 0)
        if self._slots is None:
            if service_s:
                await asyncio.sleep(service_s)
            return png_of(image_request.prompt, width, height), 0.0, service_s
        if self.settings.queue is not None and self._slots.locked() and self.waiting >= self.settings.queue:
            raise _QueueFull
        came_s = time.monotonic()
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        began_s = time.monotonic()
        try:
            await asyncio.sleep(service_s)
        finally:
            self._slots.release()
        return png_of(image_request.prompt, width, height), began_s - came_s, time.monotonic() - began_s


_JSON = "application/json"


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=_JSON, headers=headers)


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return _json({"error": {"message": message, "type": "error", "param": None, "code": None}}, status, headers)


async def _read_request(request: web.BaseRequest) -> _ImageRequest:
    """Read JSON or a form."""
    if request.content_type == _JSON:
        return msgspec.json.decode(await request.read(), type=_ImageRequest)
    form = await request.post()
    return msgspec.convert({k: v for k, v in form.items() if isinstance(v, str)}, _ImageRequest, strict=False)


class NullServer:
    """Answers requests."""

    def __init__(self, settings: NullSettings) -> None:
        self._workers = _Workers(settings)
        self._jobs = dict[str, asyncio.Task[_ImageRequest]]()
        self._numbers = count(1)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            return await self._answer(request)
        except _QueueFull:
            return _error(429, "The queue is full; try again in 1 s.", {"Retry-After": "1"})
        except (msgspec.DecodeError, ValueError) as error:
            return _error(400, str(error))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:  # noqa: PLR0911 - one for each route
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["v1", "images", "generations" | "edits"]:
                return await self._images(request)
            case "POST", ["v1", "chat", "completions"]:
                return await self._chat(request)
            case "POST", ["v1", "videos"]:
                return self._video(await _read_request(request))
            case "GET", ["v1", "videos", job, *rest] if job in self._jobs and rest in ([], ["content"]):
                return await self._job(job, is_whole=bool(rest))
            case "DELETE", ["v1", "videos", job] if job in self._jobs:
                self._jobs.pop(job).cancel()
                return _json({"id": job, "object": "video.deleted", "deleted": True})
            case "GET", ["v1", "models"]:
                return _json({"object": "list", "data": [{"id": "null", "object": "model"}]})
            case "GET", ["health"]:
                return _json({"status": "healthy"})
        return _error(404, f"There is no {request.method} {request.path}.")

    async def _images(self, request: web.BaseRequest) -> web.StreamResponse:
        image_request = await _read_request(request)
        if image_request.stream:
            return await self._stream(request, image_request)
        picture, queue_s, compute_s = await self._workers.paint(image_request)
        return _json(
            {
                "created": 0,
                "data": [{"b64_json": base64.b64encode(picture).decode()}],
                "output_format": "png",
                "safelight": {"queue_s": queue_s, "compute_s": compute_s},
            }
        )

    async def _stream(self, request: web.BaseRequest, image_request: _ImageRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        text = base64.b64encode(png_of(image_request.prompt, *image_request.sides)).decode()
        for index in range(image_request.partial_images):
            event = {"type": "image_generation.partial_image", "b64_json": text, "partial_image_index": index}
            await answer.write(b"data: " + msgspec.json.encode(event) + b"\n\n")
        await self._workers.paint(image_request)
        done = {"type": "image_generation.completed", "b64_json": text, "output_format": "png"}
        await answer.write(b"data: " + msgspec.json.encode(done) + b"\n\ndata: [DONE]\n\n")
        return answer

    async def _chat(self, request: web.BaseRequest) -> web.Response:
        image_request = msgspec.json.decode(await request.read(), type=_ChatRequest).image_request
        picture, queue_s, compute_s = await self._workers.paint(image_request)
        part = {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{base64.b64encode(picture).decode()}"},
            "stage_durations": {"queue": queue_s, "diffusion": compute_s},
        }
        return _json({"choices": [{"index": 0, "message": {"role": "assistant", "content": [part]}}]})

    def _video(self, image_request: _ImageRequest) -> web.Response:
        if len(self._jobs) >= MOST_JOBS:
            raise _QueueFull
        frames, _ = image_request.length
        if (size := frames * len(png_of(image_request.prompt, *image_request.sides))) > MOST_VIDEO_BYTES:
            raise ValueError(f"a video of {size:,} bytes; there may be {MOST_VIDEO_BYTES:,}")
        job = f"video-{next(self._numbers)}"
        self._jobs[job] = asyncio.create_task(self._paint_video(image_request))
        return _json({"id": job, "object": "video", "status": "queued"})

    async def _paint_video(self, image_request: _ImageRequest) -> _ImageRequest:
        """Wait as long as a video takes; its file is made on download, so that other jobs stay small."""
        await self._workers.paint(image_request)
        return image_request

    async def _job(self, job: str, *, is_whole: bool) -> web.Response:
        task = self._jobs[job]
        if not task.done():
            return _error(404, "The video is not ready.") if is_whole else _json({"id": job, "status": "in_progress"})
        if task.cancelled() or task.exception():
            return _json({"id": job, "status": "failed", "error": {"message": str(task)}})
        if is_whole:
            image_request = task.result()
            video = video_of(image_request.prompt, *image_request.sides, *image_request.length)
            return web.Response(body=video, content_type="video/quicktime")
        return _json({"id": job, "status": "completed"})


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """Create a request object that accepts large bodies."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MOST_BODY_BYTES)


def as_server(settings: NullSettings) -> web.Server:
    """Return the null server as a server of aiohttp."""
    return web.Server(NullServer(settings), request_factory=_request, access_log=None)


async def serve_null(
    settings: NullSettings, *, host: str, port: int, on_ready: Callable[[str], None], until: asyncio.Event
) -> None:
    """Serve until `until` is set; `on_ready` gets the address."""
    runner = web.ServerRunner(as_server(settings))
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    try:
        address = runner.addresses[0]
        on_ready(f"http://{address[0]}:{address[1]}")
        await until.wait()
    finally:
        await runner.cleanup()
