"""A fixed number of worker processes, each of which is restarted when it dies."""

import asyncio
import errno
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from safelight.control.liveness import BEAT_S
from safelight.core.child import TRY_AGAIN
from safelight.core.errors import CannotServe
from safelight.core.log import Log
from safelight.core.pool import PoolListener, PoolMember
from safelight.core.work import Ready, WorkerCommand
from safelight.local.process import MAX_UNSENT_BYTES, WorkerProcess

START_TRIES = 3
"""Failed starts in a row, while no other worker is ready, after which a pool may collapse."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
STEADY_S = 10.0
"""A worker that has run this long is restarted after the shortest pause."""

STOP_WITHIN_S = 5.0
"""How long a worker may take to end after `Stop`."""

END_WITHIN_S = 1.0
"""How long a worker may take to end after it has closed its output or sent an invalid message."""

PERMANENT = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR, errno.EISDIR, errno.E2BIG}
)
"""Errors at the start of a process which another try will not change: the program is not there, or is none."""


class WorkersCannotStart(CannotServe):
    """Workers die repeatedly before they are ready."""

    def __init__(self, worker: str, last_words: str) -> None:
        super().__init__(last_words or f"Worker {worker} ended before it was ready, and said nothing.")


@dataclass(frozen=True, kw_only=True)
class _Life:
    """How one process ended.

    Attributes:
        was_ready: whether it was ready; the others are about one that was not.
        is_refusal: whether another start would fail too.
        may_pass: whether the reason may pass by itself.
        last_words: the reason.
    """

    was_ready: bool
    is_refusal: bool = False
    may_pass: bool = False
    last_words: str = ""


@dataclass(kw_only=True)
class _Slot:
    """One of the workers that a pool keeps running, through all its processes.

    Attributes:
        incarnation: number of its present process.
        failures: starts in a row that have failed, and `failing_s`, since when.
        bad_starts: those of them that may fail again and again; a refusal counts as `START_TRIES`.
        pause_s: before the next start.
    """

    number: int
    incarnation: int = 0
    failures: int = 0
    failing_s: float = 0.0
    bad_starts: int = 0
    pause_s: float = FIRST_PAUSE_S


class LocalPool:
    """Keeps `size` workers running and passes messages on; `worker-1.2` is the second process of worker 1.

    Each process gets its number by `--number`, after `argv`, and sends a sign of life every `beat_s` seconds. On Linux
    it ends when the thread ends in which `start` was called: the event loop has to run in one thread to its end.

    A pool whose workers cannot start collapses. A `tireless` pool collapses only for what can never work: once one of
    its workers was ready, or while the reason may pass, it tries again for ever, with growing pauses.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        size: int,
        log: Log,
        title: str = "worker",
        tireless: bool = False,
        beat_s: float = BEAT_S,
        max_unsent_bytes: int = MAX_UNSENT_BYTES,
    ) -> None:
        self._argv = tuple(argv)
        self._size = size
        self._title = title
        self._is_tireless = tireless
        self._beat_s = beat_s
        self._max_unsent_bytes = max_unsent_bytes
        self._has_been_ready = False
        self._log = log
        self._processes: dict[str, WorkerProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._is_stopping = False

    def start(self, listener: PoolListener) -> None:
        """Start all workers, without waiting for them."""
        self._keepers = [asyncio.create_task(self._keep(_Slot(number=n), listener)) for n in range(self._size)]

    def send(self, worker: str, command: WorkerCommand) -> None:
        """Send a command; it is lost if that worker has ended."""
        if process := self._processes.get(worker):
            process.send(command)

    def kill(self, worker: str) -> None:
        """End a worker at once, since it hangs; it has a successor."""
        if process := self._processes.get(worker):
            process.kill()

    @property
    def members(self) -> tuple[PoolMember, ...]:
        """The running workers, ready or not."""
        running = list(self._processes.values())
        return tuple(PoolMember(name=process.name, pid=process.pid, ready=process.ready) for process in running)

    @property
    def ready_count(self) -> int:
        """How many workers are ready."""
        return sum(process.ready is not None for process in self._processes.values())

    async def stop(self) -> None:
        """End all workers."""
        self._is_stopping = True
        await asyncio.gather(*(process.stop(within_s=STOP_WITHIN_S) for process in list(self._processes.values())))
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self, slot: _Slot, listener: PoolListener) -> None:
        loop = asyncio.get_running_loop()
        while True:
            slot.incarnation += 1
            name = f"{self._title}-{slot.number}.{slot.incarnation}"
            began_s = loop.time()
            life = await self._live(name, slot, listener)
            if self._is_stopping:
                return
            is_steady = life.was_ready and loop.time() - began_s >= STEADY_S
            slot.pause_s = FIRST_PAUSE_S if is_steady else min(2 * slot.pause_s, LONGEST_PAUSE_S)
            if not life.was_ready:
                self._note_failure(name, slot, life, began_s)
                listener.start_failed(name, life.last_words)
                if self._is_hopeless(slot):
                    listener.collapsed(WorkersCannotStart(name, life.last_words))
                    return
            await asyncio.sleep(slot.pause_s)
            listener.restarting(name)

    def _note_failure(self, name: str, slot: _Slot, life: _Life, began_s: float) -> None:
        if not slot.failures:
            slot.failing_s = began_s
        slot.failures += 1
        if life.is_refusal:
            slot.bad_starts += START_TRIES
        elif not (life.may_pass and self._is_tireless):
            slot.bad_starts += 1
        self._log.warning(
            "worker cannot start",
            worker=name,
            failures=slot.failures,
            retry_in_s=slot.pause_s,
            reason=life.last_words or None,
        )

    def _is_hopeless(self, slot: _Slot) -> bool:
        if self._is_tireless and self._has_been_ready:
            return False
        return slot.bad_starts >= START_TRIES and not self.ready_count

    async def _live(self, name: str, slot: _Slot, listener: PoolListener) -> _Life:
        """Run one process to its end."""
        argv = (*self._argv, "--number", str(slot.number))
        try:
            process = await WorkerProcess.start(
                name, argv, self._log, beat_s=self._beat_s, max_unsent_bytes=self._max_unsent_bytes
            )
        except (OSError, RuntimeError) as error:
            return _not_started(argv[0], error)
        self._processes[name] = process
        listener.starting(name)
        try:
            async with process.patience:
                await self._attend(process, slot, listener)
        except msgspec.DecodeError as error:
            self._log.error("worker speaks nonsense", worker=name, reason=str(error))
        except TimeoutError:
            self._log.error("worker cannot be killed", worker=name, pid=process.pid)
        except asyncio.CancelledError:
            self._is_stopping = True
        finally:
            del self._processes[name]
        status = await process.ended(within_s=END_WITHIN_S)
        self._log.info("worker ended", worker=name, status=status)
        if process.ready is not None and not self._is_stopping:
            listener.left(name, _reason(process, status))
        return _Life(
            was_ready=process.ready is not None,
            is_refusal=process.refusal is not None,
            may_pass=process.is_killed or status == TRY_AGAIN,
            last_words=process.last_words,
        )

    async def _attend(self, process: WorkerProcess, slot: _Slot, listener: PoolListener) -> None:
        async for events in process.events():
            if process.ready is None:
                for first in events:
                    if isinstance(first, Ready):
                        process.ready = first
                        self._note_start(process.name, slot)
                        listener.joined(process.name, first)
            listener.reported(process.name, [event for event in events if not isinstance(event, Ready)])

    def _note_start(self, name: str, slot: _Slot) -> None:
        self._has_been_ready = True
        if slot.failures:
            after_s = asyncio.get_running_loop().time() - slot.failing_s
            self._log.info("worker starts again", worker=name, failures=slot.failures, after_s=round(after_s, 3))
        slot.failures = slot.bad_starts = 0


def _not_started(program: str, error: OSError | RuntimeError) -> _Life:
    passes = getattr(error, "errno", None) not in PERMANENT
    reason = getattr(error, "strerror", None) or str(error)
    return _Life(
        was_ready=False,
        is_refusal=not passes,
        may_pass=passes,
        last_words=f"Cannot start {program!r}: {reason}.",
    )


def _reason(process: WorkerProcess, status: int | None) -> str:
    if process.is_killed:
        return "The worker was ended, since it did not respond."
    return f"The worker ended with status {status}."
