"""What tests of the benchmark are made of."""

import asyncio
import io
from contextlib import asynccontextmanager

import av
import numpy as np
from aiohttp import web

from safelight.bench.client.http_client import ServerConfig
from safelight.bench.datasets.dataset import DatasetOptions
from safelight.bench.datasets.published import Sources
from safelight.bench.endpoints.endpoint import RequestOptions
from safelight.bench.endpoints.generations import Generations
from safelight.bench.load.runner import run
from safelight.bench.media.shape import Shape
from safelight.bench.null_server import NullSettings, as_server
from safelight.bench.records import Record
from safelight.bench.requests import LoadRequest
from safelight.bench.run import Run, RunConfig

SHAPE = Shape(64, 64, None, 4)
NOWHERE = "http://127.0.0.1:9"
VIDEO_SHAPE = Shape(64, 48, 6, 4)
FPS = 10


def make_requests(count, *, every_s=0.0, shape=SHAPE, **more):
    return [
        LoadRequest(request_id=f"r{number}", prompt=f"prompt {number}", due_s=number * every_s, shape=shape, **more)
        for number in range(count)
    ]


def sources_at(url, cache, **more):
    """Where published files come from when all of the web is one server."""
    return Sources(sites={"hub": url, "github": url}, cache=cache, **more)


def dataset_options(*, sources=sources_at(NOWHERE, None), **more):  # noqa: B008 - frozen
    """What a command line wants, of a web where nobody listens unless `sources` are given."""
    facts = {"task": "t2i", "count": 4, "rng": np.random.default_rng(0), "shape": Shape(steps=50)}
    return DatasetOptions(sources=sources, **facts | more)


def make_frames(seed=0, shape=VIDEO_SHAPE):
    """Return frames of coloured squares that are drawn anew for each."""
    squares = np.random.default_rng(seed).integers(
        0, 256, (shape.frames, shape.height // 8, shape.width // 8, 3), np.uint8
    )
    return squares.repeat(8, axis=1).repeat(8, axis=2)


def make_video(frames, *, form="mp4", codec="libx264", fps=FPS, **options):
    """Return a file of frames as PyAV encodes them; options go to what writes the file."""
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        stream.gop_size = 3
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def make_config(url, requests, *, endpoint=Generations(), options=RequestOptions(), timeout_s=20.0, **more):  # noqa: B008 - frozen
    more.setdefault("warm_up_rounds", 0)
    server = ServerConfig(url=url, timeout_s=timeout_s)
    return RunConfig(server=server, endpoint=endpoint, options=options, requests=requests, **more)


@asynccontextmanager
async def null_server(**settings):
    """The null server, in this event loop; yields its address."""
    runner = web.ServerRunner(as_server(NullSettings(**settings)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def ran(server, requests, *, notify=lambda _: None, **more):
    """Run a plan against a server, given as a context manager, and return what came of it."""

    async def main():
        async with server as url:
            return await run(make_config(url, requests, **more), notify=notify)

    return asyncio.run(main())


def run_of(latencies_s, *, every_s=1.0, deadline_s=None, waits_s=0.0, failed=(), max_concurrency=None):
    """A run as if these were its latencies, each after a wait for its turn."""
    requests = make_requests(len(latencies_s), every_s=every_s, deadline_s=deadline_s)
    records = [
        Record(
            request=request,
            due_s=request.due_s,
            released_s=request.due_s + waits_s,
            sent_s=request.due_s + waits_s,
            done_s=request.due_s + waits_s + float(latency_s),
            failure="timeout" if number in failed else "",
            message="late" if number in failed else "",
        )
        for number, (request, latency_s) in enumerate(zip(requests, latencies_s, strict=True))
    ]
    return Run(
        config=make_config("http://127.0.0.1:1", requests, max_concurrency=max_concurrency),
        records=records,
        duration_s=max((record.done_s for record in records), default=0.0),
        began_at=0.0,
    )
