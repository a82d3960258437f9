"""What tests of the benchmark are made of."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web

from safelight.bench.asks import Ask, Shape
from safelight.bench.endpoints.endpoint import Manner
from safelight.bench.endpoints.generations import Generations
from safelight.bench.line import Server
from safelight.bench.null_server import NullSettings, as_server
from safelight.bench.records import Record
from safelight.bench.running import Plan, Run, run

SHAPE = Shape(64, 64, None, 4)


def make_asks(count, *, every_s=0.0, shape=SHAPE, **more):
    return [
        Ask(request_id=f"r{number}", prompt=f"prompt {number}", due_s=number * every_s, shape=shape, **more)
        for number in range(count)
    ]


def make_plan(url, asks, *, endpoint=Generations(), manner=Manner(), timeout_s=20.0, **more):  # noqa: B008 - frozen
    more.setdefault("warm_up_rounds", 0)
    server = Server(url=url, timeout_s=timeout_s)
    return Plan(server=server, endpoint=endpoint, manner=manner, asks=asks, **more)


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


def ran(server, asks, **more):
    """Run a plan against a server, given as a context manager, and return what came of it."""

    async def main():
        async with server as url:
            return await run(make_plan(url, asks, **more))

    return asyncio.run(main())


def run_of(latencies_s, *, every_s=1.0, deadline_s=None, waits_s=0.0, failed=(), limit=None):
    """A run as if these were its latencies, each after a wait for its turn."""
    asks = make_asks(len(latencies_s), every_s=every_s, deadline_s=deadline_s)
    records = [
        Record(
            ask=ask,
            due_s=ask.due_s,
            freed_s=ask.due_s + waits_s,
            sent_s=ask.due_s + waits_s,
            done_s=ask.due_s + waits_s + float(latency_s),
            failure="timeout" if number in failed else "",
            message="late" if number in failed else "",
        )
        for number, (ask, latency_s) in enumerate(zip(asks, latencies_s, strict=True))
    ]
    return Run(
        plan=make_plan("http://127.0.0.1:1", asks, limit=limit),
        records=records,
        duration_s=max((record.done_s for record in records), default=0.0),
        began_at=0.0,
    )
