"""Does all runs of a plan, here or in several processes; the results are the same."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path

from safelight.core.errors import SafelightError
from safelight.simulator.errors import ProcessKilled, SimulatorError
from safelight.simulator.results.documents import RunResult
from safelight.simulator.running.one_run import run_one
from safelight.simulator.running.plan import SimulationPlan, decoded, encoded
from safelight.simulator.running.progress import OnProgress, RunProgress
from safelight.simulator.running.stopping import Stop, StopRequest

POLL_S = 0.1
"""Seconds between two looks at processes."""

_NEVER = StopRequest()


@dataclass(frozen=True, kw_only=True)
class AllRuns:
    """What was simulated.

    Attributes:
        results: of the runs that began, also of those that an error of another one ended.
        error: why not all runs are there; None if nothing went wrong.
    """

    results: list[RunResult]
    error: SafelightError | None = None


def run_all(
    plan: SimulationPlan,
    *,
    jobs: int = 1,
    outcomes: Sequence[Path] | None = None,
    stop: StopRequest = _NEVER,
    on_progress: OnProgress | None = None,
) -> "AllRuns":
    """Return the results of all runs, in the order of the plan; an error ends the others, and is returned with them.

    Args:
        plan: with at least one run.
        jobs: processes at most.
        outcomes: a file for the outcome log of each run; None writes none.
        stop: ends the present runs early, and begins no more.
        on_progress: is called now and then.
    """
    numbers = range(len(plan.keys))
    report = on_progress or (lambda progress: None)
    paths = dict(zip(numbers, outcomes or (), strict=False))
    if min(jobs, len(numbers)) == 1:
        return _in_turn(plan, paths, stop, report)
    return _in_processes(plan, min(jobs, len(numbers)), paths, stop, report)


def _in_turn(plan: SimulationPlan, paths: Mapping[int, Path], stop: StopRequest, report: OnProgress) -> AllRuns:
    results: list[RunResult] = []
    for number in range(len(plan.keys)):
        if stop.is_set:
            break
        try:
            results.append(run_one(plan, number, outcomes=paths.get(number), stop=stop, on_progress=report))
        except SafelightError as error:
            return AllRuns(results=results, error=error)
    return AllRuns(results=results)


def _in_processes(
    plan: SimulationPlan, jobs: int, paths: Mapping[int, Path], stop: StopRequest, report: OnProgress
) -> AllRuns:
    context = multiprocessing.get_context("spawn")
    ended, queue = context.Event(), context.SimpleQueue()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(ended, queue)) as pool:
        with _signals_blocked():
            futures = [pool.submit(_run, encoded(plan), number, paths.get(number)) for number in range(len(plan.keys))]
        try:
            _watch(futures, stop, ended.set, queue, report)
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
        results, errors = [], []
        for future in (future for future in futures if not future.cancelled()):
            try:
                results.append(decoded(future.result(), RunResult))
            except SafelightError as error:
                errors.append(error)
            except BrokenProcessPool:
                errors.append(ProcessKilled())
    return AllRuns(results=results, error=errors[0] if errors else None)


def _watch(
    futures: Sequence[Future[bytes]],
    stop: StopRequest,
    end: Callable[[], None],
    queue: "SimpleQueue[bytes]",
    report: OnProgress,
) -> None:
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
        while not queue.empty():
            report(decoded(queue.get(), RunProgress))
        if any(future.exception() is not None for future in done if not future.cancelled()):
            return
        if stop.is_set:
            end()
            for future in waiting:
                future.cancel()


class _Shared:
    """What a process of the pool shares with the one that started it."""

    stop: Stop = _NEVER
    queue: "SimpleQueue[bytes] | None" = None


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Have processes that begin in the block ignore signals to the whole group, which the parent handles."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(ended: Event, queue: "SimpleQueue[bytes]") -> None:
    """Prepare a process of the pool."""
    _Shared.stop, _Shared.queue = _EventStop(ended), queue
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _EventStop:
    """A stop request of another process."""

    def __init__(self, ended: Event) -> None:
        self._ended = ended

    @property
    def is_set(self) -> bool:
        return self._ended.is_set()


def _run(plan: bytes, number: int, outcomes: Path | None) -> bytes:
    try:
        result = run_one(
            decoded(plan, SimulationPlan), number, outcomes=outcomes, stop=_Shared.stop, on_progress=_put_progress
        )
    except SafelightError as error:  # most classes of errors cannot be sent, since they are made of more than a text
        raise SimulatorError(str(error)) from None
    return encoded(result)


def _put_progress(progress: RunProgress) -> None:
    if _Shared.queue is not None:
        _Shared.queue.put(encoded(progress))
