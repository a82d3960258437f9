"""The pipe from a worker to its server, shared by the threads of the worker."""

import os
import select
import threading
from typing import BinaryIO, Final

from safelight.core.frames import frame
from safelight.core.work import WorkerEvent

LONGEST_SIGN: Final = 512
"""Bytes that a pipe which is ready takes without blocking; POSIX promises them."""


class EventPipe:
    """Writes whole events to an unbuffered stream; any thread may do so."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Write whole frames, however long the server takes to read them; raises BrokenPipeError when it has ended."""
        with self._lock:
            rest = memoryview(data)
            # A write that SIGSTOP interrupts writes only a part.
            while rest:
                rest = rest[os.write(self._stream.fileno(), rest) :]

    def try_to_send(self, event: WorkerEvent) -> bool:
        """Send a short event unless that would have to wait; returns whether it was sent.

        Raises:
            BrokenPipeError: when the server has ended.
        """
        data = frame(event)
        assert len(data) <= LONGEST_SIGN
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if not select.select((), (self._stream,), (), 0)[1]:
                return False
            os.write(self._stream.fileno(), data)
        finally:
            self._lock.release()
        return True
