"""A whole run: warm-ups, deadlines, the load, and a look at all pictures."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec

from safelight.bench.client.http_client import HttpClient, Server
from safelight.bench.deadlines import ESTIMATORS, SCALE, ServiceTimeEstimate
from safelight.bench.endpoints.endpoint import Endpoint, RequestOptions
from safelight.bench.endpoints.videos import Videos
from safelight.bench.load.generator import CANCELLED, LoadGenerator
from safelight.bench.load.warm_up import check_served, warm_up_requests
from safelight.bench.media.pictures import Checker
from safelight.bench.media.saving import MediaFolder
from safelight.bench.media.videos import NOT_DECODED, Decode
from safelight.bench.records import Record
from safelight.bench.requests import LoadRequest

WATCH_S = 0.5
SWITCH_S = 0.0005
"""Threads that look at pictures give way this soon to the one that sends."""

LASTING_S = 1.0
"""When nothing has been heard for so long, people want to know what for."""

OnProgress = Callable[[int, LoadGenerator], None]
"""Is told which turn it is, from 0, and shown how its load goes."""

StopCondition = Callable[[Sequence["Run"]], bool]
Notify = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run does.

    Attributes:
        server: that is asked.
        endpoint, manner: how it is asked.
        asks: in order of their times.
        limit: requests in flight at most; None is any number.
        retries: of requests that the server has no room for.
        warm_up_rounds, warm_up_steps, warm_up_limit: of each shape, before the clock starts.
        estimator: for deadlines that are lacking; None leaves them so.
        slo_scale: deadlines are so many times the estimate.
        checks_pictures: open every picture and video.
        decode: what decodes videos; None has only their files' outermost parts looked at.
        scores_scenes: score pictures by their captions.
        save_to: a folder for all pictures; None saves none.
    """

    server: Server
    endpoint: Endpoint
    options: RequestOptions
    requests: Sequence[LoadRequest] = field(
        repr=False
    )  # there may be very many, and asyncio describes what tasks return
    max_concurrency: int | None = None
    retries: int = 0
    warm_up_rounds: int = 1
    warm_up_steps: int = 2
    warm_up_concurrency: int = 1
    estimator: str | None = None
    slo_scale: float = SCALE
    checks_pictures: bool = True
    decode: Decode | None = None
    scores_scenes: bool = False
    save_to: Path | None = None

    @property
    def is_for_videos(self) -> bool:
        """Whether what comes is videos, not pictures."""
        return self.endpoint.name == Videos.name

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the figures should know of how it is judged, in sentences."""
        return [NOT_DECODED] if self.is_for_videos and self.checks_pictures and self.decode is None else []


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a plan.

    Attributes:
        records: of all requests that were sent, in the order in which they were due, and then sent.
        duration_s: from the first request's time to the last answer.
        unsent: requests that were not sent, since the run was ended before.
        unchecked: requests whose pictures nobody looked at.
        was_cut: whether pictures were left out since the run was ended.
        began_at: when its clock started, in Unix time; 0 if it did not begin.
        estimate: where deadlines come from, if they were estimated.
    """

    config: RunConfig
    records: Sequence[Record] = field(repr=False)
    duration_s: float
    unsent: int = 0
    unchecked: int = 0
    was_cut: bool = False
    began_at: float
    estimate: ServiceTimeEstimate | None = None

    @property
    def is_partial(self) -> bool:
        """Whether it was ended before its end."""
        return self.was_cut or self.unsent > 0 or len(self.ended) < len(self.records)

    @cached_property
    def ended(self) -> Sequence[Record]:
        """Records of requests that were answered or failed."""
        return [record for record in self.records if record.failure != CANCELLED]

    @property
    def has_hidden_waits(self) -> bool:
        """Whether a limit may have held requests back that had times of their own, which no latency tells."""
        return self.config.max_concurrency is not None and any(record.due_s > 0 for record in self.records)

    @property
    def is_one_burst(self) -> bool:
        """Whether all requests were sent at once, with no limit that spread them."""
        has_no_limit = self.config.max_concurrency is None or self.config.max_concurrency >= len(self.records)
        return has_no_limit and len({record.due_s for record in self.records}) <= 1


def _ignore(*_: object) -> None:
    """Take no notice."""


def _never(_: object) -> bool:
    return False


@dataclass(kw_only=True)
class StopSignal:
    """Ends what is running: warm-ups by a CancelledError, a load early, with what was measured until then.

    Called again, or after the last answer, it has pictures left out that were not looked at.
    """

    task: asyncio.Task[Any] | None = None
    was_called: bool = False

    def __call__(self) -> None:
        """End it, and begin nothing more."""
        self.was_called = True
        if self.task is not None:
            self.task.cancel()


async def run(
    config: RunConfig, *, stop: StopSignal | None = None, on_progress: OnProgress = _ignore, notify: Notify = _ignore
) -> Run:
    """Run a plan once, as `run_repeatedly` does."""
    (done,) = await run_repeatedly(lambda _: config, repeats=1, stop=stop, on_progress=on_progress, notify=notify)
    return done


async def run_repeatedly(
    config_of: Callable[[int], RunConfig],
    *,
    repeats: int,
    stop: StopSignal | None = None,
    on_progress: OnProgress = _ignore,
    notify: Notify = _ignore,
) -> Sequence[Run]:
    """Run plans of one load in turn, over the same connections and after the warm-ups of the first one.

    Args:
        plan_of: gives what to do in each turn, counted from 0.
        repeats: how many turns there are.
        stop: to be called when it is to end early; turns that had not begun give runs without records.
        watch: is called now and then during a load.
        say: is told, in sentences, what a reader of the figures should know.

    Raises:
        ServerUnusable: if not one warm-up was served.
        BadLoad: if deadlines cannot be estimated.
    """
    stop, first = stop or StopSignal(), config_of(0)
    async with HttpClient(first.server) as client:
        estimate = await warm_up(first, client, stop=stop, notify=notify)
        return await run_turns(
            config_of, client, estimate, repeats=repeats, stop=stop, on_progress=on_progress, notify=notify
        )


async def warm_up(
    config: RunConfig, client: HttpClient, *, stop: StopSignal, notify: Notify
) -> ServiceTimeEstimate | None:
    """Warm a server up, and return the estimate of how long requests take, if some of the plan's are to get one.

    Raises:
        ServerUnusable: if not one warm-up was served.
        BadLoad: if deadlines cannot be estimated.
    """
    for note in config.notes:
        notify(note)
    stop.task = warming = asyncio.create_task(_warm_up(config, client, notify))
    return await warming


async def run_turns(
    config_of: Callable[[int], RunConfig],
    client: HttpClient,
    estimate: ServiceTimeEstimate | None,
    *,
    repeats: int,
    stop: StopSignal,
    on_progress: OnProgress = _ignore,
    notify: Notify = _ignore,
    is_enough: StopCondition = _never,
) -> Sequence[Run]:
    """Run plans of one load in turn, on a server that is warm.

    Args:
        plan_of: gives what to do in each turn, counted from 0.
        line: to the server.
        estimate: of how long requests take, for deadlines that are lacking.
        repeats: how many turns there are.
        stop: to be called when it is to end early; turns that had not begun give runs without records.
        watch: is called now and then during a load.
        say: is told, in sentences, what a reader of the figures should know, each once.
        is_enough: given all runs until then, says whether the rest can be left out.
    """
    runs, notify = list[Run](), without_repeats(notify)
    while len(runs) < repeats and not (runs and is_enough(runs)):
        turn = len(runs)
        runs.append(await _run_once(config_of(turn), client, estimate, stop, partial(on_progress, turn), notify))
    return runs


def without_repeats(notify: Notify) -> Notify:
    """Return what passes on only what was not said before."""
    said = set[str]()

    def say_once(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            notify(sentence)

    return say_once


async def _run_once(  # noqa: PLR0917 - all that a run has
    config: RunConfig,
    client: HttpClient,
    estimate: ServiceTimeEstimate | None,
    stop: StopSignal,
    inspect_picture: Callable[[LoadGenerator], None],
    notify: Notify,
) -> Run:
    checker = _checker_for(config)
    load = LoadGenerator(
        requests=_with_deadlines(config, estimate),
        endpoint=config.endpoint,
        options=config.options,
        client=client,
        max_concurrency=config.max_concurrency,
        retries=config.retries,
        checker=checker,
    )
    client.connection_waits.forget()
    if not stop.was_called:
        with _on_time():
            async with _checking(checker, stop, notify):
                await _loaded(load, stop, inspect_picture)
    if client.connection_waits.words:
        notify(client.connection_waits.words)
    return Run(
        config=config,
        records=sorted(load.records, key=lambda record: (record.due_s, record.sent_s)),
        duration_s=max((record.done_s for record in load.records), default=0.0),
        unsent=len(config.requests) - len(load.records),
        unchecked=checker.unchecked if checker else 0,
        was_cut=checker.was_cut if checker else False,
        began_at=load.began_at,
        estimate=estimate,
    )


def _checker_for(config: RunConfig) -> Checker | None:
    if not config.checks_pictures and config.save_to is None:
        return None
    media_folder = None if config.save_to is None else MediaFolder(folder=config.save_to)
    return Checker(
        inspects=config.checks_pictures,
        decode=config.decode,
        scores_scenes=config.scores_scenes,
        media_folder=media_folder,
    )


async def _warm_up(config: RunConfig, client: HttpClient, notify: Notify) -> ServiceTimeEstimate | None:
    requests = warm_up_requests(
        config.requests, rounds=config.warm_up_rounds, steps=config.warm_up_steps, full_too=config.estimator == "fit"
    )
    load = LoadGenerator(
        requests=requests,
        endpoint=config.endpoint,
        options=config.options,
        client=client,
        max_concurrency=config.warm_up_concurrency,
    )
    await load.run()
    good = check_served(load.records, config.server.public_url)
    if requests:
        notify(f"warmed up with {len(good)} requests of {len({request.shape for request in requests})} shapes")
    for record in load.records:
        if not record.is_success:
            notify(f"a warm-up failed ({record.request.shape.words}): {record.message}")
    if config.estimator is None or all(request.deadline_s is not None for request in config.requests):
        return None
    estimate = ESTIMATORS[config.estimator](good)
    notify(f"deadlines are {config.slo_scale:g} times {estimate.words}")
    return estimate


def _with_deadlines(config: RunConfig, estimate: ServiceTimeEstimate | None) -> Sequence[LoadRequest]:
    if estimate is None:
        return config.requests
    return [
        request
        if request.deadline_s is not None
        else msgspec.structs.replace(request, deadline_s=config.slo_scale * estimate.service_s(request.shape))
        for request in config.requests
    ]


async def _loaded(load: LoadGenerator, stop: StopSignal, inspect_picture: Callable[[LoadGenerator], None]) -> None:
    task = asyncio.create_task(load.run())
    stop.task = task
    watching = asyncio.create_task(_watched(load, inspect_picture))
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        watching.cancel()
    inspect_picture(load)


async def _watched(load: LoadGenerator, inspect_picture: Callable[[LoadGenerator], None]) -> None:
    while True:
        await asyncio.sleep(WATCH_S)
        inspect_picture(load)


@asynccontextmanager
async def _checking(checker: Checker | None, stop: StopSignal, notify: Notify) -> AsyncIterator[None]:
    if checker is None:
        yield
        return
    checker.start()
    try:
        yield
        await _looked(checker, stop, notify)
    finally:
        checker.stop()
        await asyncio.to_thread(checker.finish)
    for problem in checker.problems:
        notify(problem)


async def _looked(checker: Checker, stop: StopSignal, notify: Notify) -> None:
    """Wait until all pictures are looked at, or nobody wants to wait any more."""
    looking = asyncio.create_task(asyncio.to_thread(checker.finish))
    stop.task = asyncio.create_task(_told(looking, checker, notify))
    with suppress(asyncio.CancelledError):
        await stop.task


async def _told(looking: asyncio.Task[None], checker: Checker, notify: Notify) -> None:
    _, waiting = await asyncio.wait([looking], timeout=LASTING_S)
    if waiting:
        notify(f"looking at what came for {checker.waiting:,} more requests; Ctrl-C leaves it out")
        await asyncio.wait(waiting)


@contextmanager
def _on_time() -> Iterator[None]:
    """Keep collections of garbage and other threads from making requests late."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before_s)
