"""Runs a load: warm-up, deadlines, sending, and checks of the answers."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from safelight.bench.client.http_client import HttpClient
from safelight.bench.deadlines import ESTIMATORS, ServiceTimeEstimate
from safelight.bench.load.checker import Checker
from safelight.bench.load.generator import LoadGenerator
from safelight.bench.load.warm_up import check_served, warm_up_requests
from safelight.bench.media.saving import MediaFolder
from safelight.bench.requests import LoadRequest
from safelight.bench.run import Run, RunConfig

PROGRESS_S = 0.5
SWITCH_S = 0.0005
"""The interpreter's switch interval during a load, so that checking threads do not delay the sending thread."""

NOTE_AFTER_S = 1.0
"""If checking takes longer than this after the last answer, a note explains the wait."""

OnProgress = Callable[[int, LoadGenerator], None]
"""Called now and then with the turn, counted from 0, and the load that is running."""

StopCondition = Callable[[Sequence[Run]], bool]
Notify = Callable[[str], None]
"""Receives sentences for the user."""


def _ignore(*_: object) -> None:
    """Do nothing."""


def _never(_: object) -> bool:
    return False


@dataclass(kw_only=True)
class StopSignal:
    """Ends the running phase early: a warm-up with CancelledError, a load with the records collected so far.

    A second call, or a call after the last answer, skips the pictures that are not checked yet.
    """

    task: asyncio.Task[Any] | None = None
    was_called: bool = False

    def __call__(self) -> None:
        """End the current phase; no further one starts."""
        self.was_called = True
        if self.task is not None:
            self.task.cancel()


async def run(
    config: RunConfig, *, stop: StopSignal | None = None, on_progress: OnProgress = _ignore, notify: Notify = _ignore
) -> Run:
    """Run a load once; see `run_repeatedly`."""
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
    """Run a load several times over the same connections, after one warm-up.

    Args:
        config_of: returns the configuration of a turn, counted from 0.
        repeats: the number of turns.
        stop: called to end early; turns that did not start give runs without records.
        on_progress: called now and then during a load.
        notify: receives sentences for readers of the metrics.

    Raises:
        ServerUnusable: if no warm-up request succeeded.
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
    """Send warm-up requests, and estimate service times if some requests need an estimated deadline.

    Raises:
        ServerUnusable: if no warm-up request succeeded.
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
    """Run a load several times on a server that is warmed up.

    Args:
        config_of: returns the configuration of a turn, counted from 0.
        client: connected to the server.
        estimate: of service times, for missing deadlines.
        repeats: the largest number of turns.
        stop: called to end early; turns that did not start give runs without records.
        on_progress: called now and then during a load.
        notify: receives sentences for readers of the metrics, each once.
        is_enough: receives all runs so far, and returns whether the remaining turns can be skipped.
    """
    runs, notify = list[Run](), without_repeats(notify)
    while len(runs) < repeats and not (runs and is_enough(runs)):
        turn = len(runs)
        runs.append(await _run_once(config_of(turn), client, estimate, stop, partial(on_progress, turn), notify))
    return runs


def without_repeats(notify: Notify) -> Notify:
    """Return a function that passes each sentence to `notify` only the first time."""
    seen = set[str]()

    def notify_once(sentence: str) -> None:
        if sentence not in seen:
            seen.add(sentence)
            notify(sentence)

    return notify_once


async def _run_once(  # noqa: PLR0917 - all parts of a run
    config: RunConfig,
    client: HttpClient,
    estimate: ServiceTimeEstimate | None,
    stop: StopSignal,
    on_progress: Callable[[LoadGenerator], None],
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
    client.connection_waits.reset()
    if not stop.was_called:
        with _precise_timing():
            async with _checking(checker, stop, notify):
                await _generate(load, stop, on_progress)
    if client.connection_waits.summary:
        notify(client.connection_waits.summary)
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
        config.requests,
        rounds=config.warm_up_rounds,
        steps=config.warm_up_steps,
        with_full_steps=config.estimator == "fit",
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
            notify(f"a warm-up failed ({record.request.shape.description}): {record.message}")
    if config.estimator is None or all(request.deadline_s is not None for request in config.requests):
        return None
    estimate = ESTIMATORS[config.estimator](good)
    notify(f"deadlines are {config.slo_scale:g} times {estimate.description}")
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


async def _generate(load: LoadGenerator, stop: StopSignal, on_progress: Callable[[LoadGenerator], None]) -> None:
    task = asyncio.create_task(load.run())
    stop.task = task
    reporting = asyncio.create_task(_report_progress(load, on_progress))
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        reporting.cancel()
    on_progress(load)


async def _report_progress(load: LoadGenerator, on_progress: Callable[[LoadGenerator], None]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        on_progress(load)


@asynccontextmanager
async def _checking(checker: Checker | None, stop: StopSignal, notify: Notify) -> AsyncIterator[None]:
    if checker is None:
        yield
        return
    checker.start()
    try:
        yield
        await _finish_checks(checker, stop, notify)
    finally:
        checker.stop()
        await asyncio.to_thread(checker.finish)
    for problem in checker.problems:
        notify(problem)


async def _finish_checks(checker: Checker, stop: StopSignal, notify: Notify) -> None:
    """Wait until all pictures are checked, or until the user stops the wait."""
    checks = asyncio.create_task(asyncio.to_thread(checker.finish))
    stop.task = asyncio.create_task(_wait_for_checks(checks, checker, notify))
    with suppress(asyncio.CancelledError):
        await stop.task


async def _wait_for_checks(checks: asyncio.Task[None], checker: Checker, notify: Notify) -> None:
    _, waiting = await asyncio.wait([checks], timeout=NOTE_AFTER_S)
    if waiting:
        notify(f"looking at what came for {checker.waiting:,} more requests; Ctrl-C leaves it out")
        await asyncio.wait(waiting)


@contextmanager
def _precise_timing() -> Iterator[None]:
    """Keep garbage collection and other threads from delaying requests."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before_s)
