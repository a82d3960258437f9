"""A fixed number of worker processes, each of which is restarted when it dies."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from safelight.core.errors import CannotServe
from safelight.core.log import Log
from safelight.core.pool import PoolListener, PoolMember
from safelight.core.work import Ready, WorkerCommand
from safelight.local.process import WorkerProcess

START_TRIES = 3
"""Failed starts in a row, while no other worker is ready, after which the pool collapses."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
STEADY_S = 10.0
"""A worker that has run this long is restarted after the shortest pause."""

STOP_WITHIN_S = 5.0
"""How long a worker may take to end after `Stop`."""

END_WITHIN_S = 1.0
"""How long a worker may take to end after it has closed its output or sent an invalid message."""


class WorkersCannotStart(CannotServe):
    """Workers die repeatedly before they are ready."""

    def __init__(self, worker: str, last_words: str) -> None:
        super().__init__(last_words or f"Worker {worker} ended before it was ready, and said nothing.")


@dataclass(frozen=True, kw_only=True)
class _Life:
    """How one process ended; a failed start has weight 1, or that of all tries if another start would fail too."""

    was_ready: bool
    weight: int
    last_words: str


class LocalPool:
    """Keeps `size` workers running and passes messages on; `worker-1.2` is the second process of worker 1.

    Each gets its number by `--number`, after `argv`. A `tireless` pool never collapses once a worker was ready.
    """

    def __init__(
        self, argv: Sequence[str], *, size: int, log: Log, title: str = "worker", tireless: bool = False
    ) -> None:
        self._argv = tuple(argv)
        self._size = size
        self._title = title
        self._is_tireless = tireless
        self._has_been_ready = False
        self._log = log
        self._processes: dict[str, WorkerProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._is_stopping = False

    def start(self, listener: PoolListener) -> None:
        """Start all workers, without waiting for them."""
        self._keepers = [asyncio.create_task(self._keep(number, listener)) for number in range(self._size)]

    def send(self, worker: str, command: WorkerCommand) -> None:
        """Send a command; it is lost if that worker has ended."""
        if process := self._processes.get(worker):
            process.send(command)

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

    async def _keep(self, number: int, listener: PoolListener) -> None:
        loop = asyncio.get_running_loop()
        incarnation, failed_starts, pause_s = 1, 0, FIRST_PAUSE_S
        while True:
            name = f"{self._title}-{number}.{incarnation}"
            began_s = loop.time()
            life = await self._live(name, (*self._argv, "--number", str(number)), listener)
            if self._is_stopping:
                return
            failed_starts = 0 if life.was_ready else failed_starts + life.weight
            is_hopeless = failed_starts >= START_TRIES and not self.ready_count
            if is_hopeless and not (self._is_tireless and self._has_been_ready):
                listener.collapsed(WorkersCannotStart(name, life.last_words))
                return
            is_steady = life.was_ready and loop.time() - began_s >= STEADY_S
            pause_s = FIRST_PAUSE_S if is_steady else min(2 * pause_s, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)
            incarnation += 1
            listener.restarting(name)

    async def _live(self, name: str, argv: Sequence[str], listener: PoolListener) -> _Life:
        """Run one process to its end."""
        try:
            process = await WorkerProcess.start(name, argv, self._log)
        except OSError as error:
            return _Life(was_ready=False, weight=START_TRIES, last_words=_cannot_start(argv[0], error))
        self._processes[name] = process
        try:
            await self._attend(process, listener)
        except msgspec.DecodeError as error:
            self._log.error("worker speaks nonsense", worker=name, reason=str(error))
        except asyncio.CancelledError:
            self._is_stopping = True
        finally:
            del self._processes[name]
        status = await process.ended(within_s=END_WITHIN_S)
        self._log.info("worker ended", worker=name, status=status)
        if process.ready is not None and not self._is_stopping:
            listener.left(name, f"The worker ended with status {status}.")
        return _Life(
            was_ready=process.ready is not None,
            weight=START_TRIES if process.refusal else 1,
            last_words=process.last_words,
        )

    async def _attend(self, process: WorkerProcess, listener: PoolListener) -> None:
        async for events in process.events():
            if process.ready is None and isinstance(first := events[0], Ready):
                process.ready = first
                self._has_been_ready = True
                listener.joined(process.name, first)
            listener.reported(process.name, [event for event in events if not isinstance(event, Ready)])


def _cannot_start(program: str, error: OSError) -> str:
    return f"Cannot start {program!r}: {error.strerror}."
