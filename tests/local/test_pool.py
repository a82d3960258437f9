"""A pool of real processes: what it does when they cannot start, hang, or lose their parent."""

import asyncio
import os
import resource
import signal
import sys
from contextlib import asynccontextmanager
from functools import wraps

from fakes.live_server import NULL_WORKER, null_worker_argv
from fakes.noting_log import NotingLog
from safelight.core.adapter import AdapterHandle
from safelight.core.work import AddAdapter
from safelight.local.pool import LocalPool

WITHIN_S = 30.0
BEAT_S = 0.05


def on_a_loop(test):
    """Run a coroutine as a test."""

    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


class NotingListener:
    """Keeps what it is told, as names of methods and workers."""

    def __init__(self):
        self.told = []
        self.events = []
        self.collapse = None

    def starting(self, worker):
        self.told.append(("starting", worker))

    def start_failed(self, worker, reason):
        self.told.append(("start_failed", worker))

    def joined(self, worker, ready):
        self.told.append(("joined", worker))

    def left(self, worker, reason):
        self.told.append(("left", worker))

    def reported(self, worker, events):
        self.events += events

    def restarting(self, worker):
        self.told.append(("restarting", worker))

    def collapsed(self, error):
        self.collapse = error

    def of(self, kind):
        return [worker for told, worker in self.told if told == kind]


@asynccontextmanager
async def running(argv, **settings):
    """A pool of one worker that was started, its listener and its log."""
    log, listener = NotingLog(), NotingListener()
    pool = LocalPool(argv, **{"size": 1, "log": log, "tireless": True, "beat_s": BEAT_S} | settings)
    pool.start(listener)
    try:
        yield pool, listener, log
    finally:
        await pool.stop()


async def eventually(condition):
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - the condition is any state of a process
            await asyncio.sleep(0.01)


def lowest_free_handle():
    handle = os.dup(0)
    os.close(handle)
    return handle


def obstructed_argv(obstacle, *, refusal=""):
    """Return the command line of a worker that dies at its start while a file is there."""
    program = (
        f"import os, runpy, sys; sys.path.insert(0, {str(NULL_WORKER.parent)!r})\n"
        f"if os.path.exists({str(obstacle)!r}): sys.exit({refusal or 'Nobody knows why.'!r})\n"
        f"runpy.run_path({str(NULL_WORKER)!r}, run_name='__main__')"
    )
    return (sys.executable, "-c", program)


@on_a_loop
async def test_a_lack_of_file_handles_passes_even_before_the_first_worker_was_ready():
    async with running(null_worker_argv(), size=0) as (pool, listener, log):
        pool._size = 1
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        handles = lowest_free_handle() + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (handles, limits[1]))
        try:
            pool.start(listener)
            await eventually(lambda: len(listener.of("start_failed")) >= 2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await eventually(lambda: listener.of("joined"))
        assert listener.collapse is None
        assert "Too many open files" in log.facts("worker cannot start")[0]["reason"]
        assert log.facts("worker starts again")[0]["failures"] >= 2


@on_a_loop
async def test_a_pool_that_was_ready_never_gives_up(tmp_path):
    obstacle = tmp_path / "obstacle"
    async with running(obstructed_argv(obstacle)) as (pool, listener, log):
        await eventually(lambda: listener.of("joined"))
        obstacle.touch()
        os.kill(pool.members[0].pid, signal.SIGKILL)
        await eventually(lambda: len(listener.of("start_failed")) > 3)
        assert listener.collapse is None
        obstacle.unlink()
        await eventually(lambda: len(listener.of("joined")) == 2)
        pauses = [facts["retry_in_s"] for facts in log.facts("worker cannot start")]
        assert pauses == sorted(pauses)


@on_a_loop
async def test_a_refusal_at_the_first_start_is_final(tmp_path):
    obstacle = tmp_path / "obstacle"
    obstacle.touch()
    async with running(obstructed_argv(obstacle, refusal="error: It is damaged.")) as (_, listener, _):
        await eventually(lambda: listener.collapse)
        assert str(listener.collapse) == "It is damaged."


@on_a_loop
async def test_a_pool_that_may_tire_collapses_when_its_workers_no_longer_start(tmp_path):
    obstacle = tmp_path / "obstacle"
    async with running(obstructed_argv(obstacle), tireless=False) as (pool, listener, _):
        await eventually(lambda: listener.of("joined"))
        obstacle.touch()
        os.kill(pool.members[0].pid, signal.SIGKILL)
        await eventually(lambda: listener.collapse)
        assert str(listener.collapse) == "Nobody knows why."


@on_a_loop
async def test_signs_of_life_come_before_a_worker_is_ready():
    async with running(null_worker_argv(load_s=0.3)) as (_, listener, _):
        await eventually(lambda: len(listener.events) > 1)
        assert not listener.of("joined")


@on_a_loop
async def test_a_stopped_worker_can_be_killed_and_has_a_successor():
    async with running(null_worker_argv()) as (pool, listener, _):
        await eventually(lambda: listener.of("joined"))
        os.kill(pool.members[0].pid, signal.SIGSTOP)
        pool.kill("worker-0.1")
        await eventually(lambda: len(listener.of("joined")) == 2)
        assert listener.of("left") == ["worker-0.1"]
        assert listener.collapse is None


@on_a_loop
async def test_a_worker_that_reads_no_commands_is_killed_before_they_fill_the_memory():
    async with running(null_worker_argv(), max_unsent_bytes=1 << 20) as (pool, listener, log):
        await eventually(lambda: listener.of("joined"))
        os.kill(pool.members[0].pid, signal.SIGSTOP)
        command = AddAdapter(handle=AdapterHandle(name="x", generation=1), path="x" * (1 << 19))
        for _ in range(10):
            pool.send("worker-0.1", command)
        await eventually(lambda: listener.of("left"))
        (facts,) = log.facts("worker reads no commands")
        assert facts["unsent_bytes"] < 4 << 20


@on_a_loop
async def test_an_event_that_is_cut_by_a_stop_arrives_whole():
    """SIGSTOP interrupts a write to a full pipe in the middle."""
    async with running(null_worker_argv()) as (pool, listener, log):
        await eventually(lambda: listener.of("joined"))
        (worker,) = pool.members
        for _ in range(5):
            os.kill(worker.pid, signal.SIGSTOP)
            await asyncio.sleep(0.02)
            os.kill(worker.pid, signal.SIGCONT)
        seen = len(listener.events)
        await eventually(lambda: len(listener.events) > seen)
        assert not log.facts("worker speaks nonsense")
        assert worker in pool.members
