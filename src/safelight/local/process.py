"""One worker process: frames in, frames out, and its lines on standard error."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from safelight.core.child import child_environment
from safelight.core.frames import HEADER, decode_event, frame
from safelight.core.log import Log
from safelight.core.work import Ready, Stop, WorkerCommand, WorkerEvent

_READ_BYTES = 1 << 18
_LINES_KEPT = 20
_LINE_BYTES = 8192
_LAST_LINES = 5
_ERROR_MARK = "error: "

MAX_UNSENT_BYTES = 256 << 20
"""Bytes of commands that may wait for a worker to read them; one that lets more wait is killed."""

HANDLES_OF_A_START = 12
"""File handles that must be free to start a process: three pipes, what the event loop needs, and some more."""

KILL_WITHIN_S = 5.0
"""How long a killed process may take to end, before it is left to itself."""


class FrameSplitter:
    """Splits a byte stream, fed in pieces of any size, into events."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[WorkerEvent]:
        """Return the events that are complete with `piece`."""
        self._buffer += piece
        events: list[WorkerEvent] = []
        start = 0
        while (body := start + HEADER.size) <= len(self._buffer):
            (length,) = HEADER.unpack_from(self._buffer, start)
            if body + length > len(self._buffer):
                break
            events.append(decode_event(bytes(self._buffer[body : body + length])))
            start = body + length
        del self._buffer[:start]
        return events


class WorkerProcess:
    """A running worker; its `name` is unique, so a successor has another one.

    Attributes:
        ready: what it has said when it was ready.
        patience: the time limit of whoever waits for its events; `kill` sets it.
        is_killed: whether `kill` was called.
    """

    def __init__(self, name: str, process: Process, log: Log, *, max_unsent_bytes: int = MAX_UNSENT_BYTES) -> None:
        assert process.stdin is not None
        self.name = name
        self.ready: Ready | None = None
        self._process = process
        self.patience = asyncio.timeout(None)
        self.is_killed = False
        self._commands = process.stdin
        self._max_unsent_bytes = max_unsent_bytes
        self._log = log
        self._last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        log: Log,
        *,
        beat_s: float,
        max_unsent_bytes: int = MAX_UNSENT_BYTES,
    ) -> "WorkerProcess":
        """Start a process of its own session, so that signals for the server do not reach it.

        It ends with the thread that calls this.

        Raises:
            OSError, RuntimeError: if the system gives no process, pipe or thread.
        """
        _check_handles()
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=_READ_BYTES,
            start_new_session=True,
            env=os.environ | child_environment(parent_pid=os.getpid(), beat_s=beat_s),
        )
        log.info("worker starts", worker=name, pid=process.pid)
        return cls(name, process, log, max_unsent_bytes=max_unsent_bytes)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def refusal(self) -> str | None:
        """The message with which it refused to start, such as for a damaged model; None if it did not."""
        said = (line.removeprefix(_ERROR_MARK) for line in self._last_lines if line.startswith(_ERROR_MARK))
        return next(said, None)

    @property
    def last_words(self) -> str:
        """Its refusal, else its last lines on standard error."""
        return self.refusal or "\n".join(list(self._last_lines)[-_LAST_LINES:])

    def send(self, command: WorkerCommand) -> None:
        """Send one command, without waiting; it is lost if the process has ended.

        A process that does not read its commands is killed when too many bytes wait for it.
        """
        if self._commands.is_closing() or self.is_killed:
            return
        if (unsent_bytes := self._commands.transport.get_write_buffer_size()) > self._max_unsent_bytes:
            self._log.error("worker reads no commands", worker=self.name, unsent_bytes=unsent_bytes)
            self.kill()
            return
        self._commands.write(frame(command))

    async def events(self) -> AsyncIterator[list[WorkerEvent]]:
        """Yield the events that have arrived, in lists, until the process closes its output.

        A list is empty if a part of an event has arrived.
        """
        assert self._process.stdout is not None
        splitter = FrameSplitter()
        while piece := await self._process.stdout.read(_READ_BYTES):
            yield splitter.feed(piece)

    def kill(self) -> None:
        """End the process and its children at once; `patience` is over soon, even if the system cannot end it."""
        self.is_killed = True
        self._signal_group()
        with contextlib.suppress(RuntimeError):  # nobody waits for its events any more
            self.patience.reschedule(asyncio.get_running_loop().time() + KILL_WITHIN_S)

    async def ended(self, *, within_s: float) -> int | None:
        """Return the exit status, negative for a signal; kills it when it does not end by itself.

        None means that it still runs, since the system cannot end it, for example because a driver hangs.
        """
        self._commands.close()
        if not self.is_killed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._process.wait()
        self._signal_group()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_WITHIN_S):
                await self._process.wait()
                await asyncio.shield(self._listening)
        self._listening.cancel()
        return self._process.returncode

    def _signal_group(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self, *, within_s: float) -> None:
        """Send `Stop`, and kill the process after `within_s`."""
        self.send(Stop())
        await self.ended(within_s=within_s)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        rest = b""
        while piece := await self._process.stderr.read(_LINE_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._note(line)
            rest = rest[-_LINE_BYTES:]
        self._note(rest)

    def _note(self, raw: bytes) -> None:
        if line := raw.decode("utf-8", "replace").rstrip():
            self._last_lines.append(line)
            self._log.info("worker says", worker=self.name, line=line)


def _check_handles() -> None:
    """Raise OSError if too few file handles are free; uvloop would lose some, and the number of the error."""
    with contextlib.ExitStack() as opened:
        for _ in range(HANDLES_OF_A_START):
            opened.enter_context(Path(os.devnull).open("rb"))
