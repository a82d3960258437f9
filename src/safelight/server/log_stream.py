"""A stream for log lines whose writer never waits: a thread writes, and what does not fit is counted as lost."""

import contextlib
import io
import os
import queue
import select
import threading
import time
from typing import Self, TextIO

MAX_LINES = 10_000
"""Lines that may wait to be written."""

GATHER_S = 0.02
"""Lines that come within this time are written together, so that the thread seldom takes the interpreter."""

CLOSE_WITHIN_S = 1.0
"""How long lines may take to be written at the end."""


class LogStream(io.TextIOBase):
    """Writes lines to `stream` in a thread of its own, by the file descriptor if there is one."""

    def __init__(self, stream: TextIO, *, max_lines: int = MAX_LINES) -> None:
        super().__init__()
        self._refused = 0
        self._failed = 0
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(max_lines)
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the stream."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, for a limited time."""
        self.end()

    @property
    def lost(self) -> int:
        """Lines that were not written: the reader of the stream has stopped or left, or the disk is full."""
        return self._refused + self._failed

    def write(self, line: str) -> int:
        """Add a line, or count it as lost."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._refused += 1
        return len(line)

    def isatty(self) -> bool:
        """Whether the lines are written to a terminal."""
        return self._stream.isatty()

    def flush(self) -> None:
        """Do nothing: the thread writes soon."""

    def end(self, *, within_s: float = CLOSE_WITHIN_S) -> None:
        """Write what waits, for at most `within_s`; afterwards lines are lost."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=within_s)
        self._thread.join(within_s)

    def _write_all(self) -> None:
        is_over = False
        while not is_over:
            lines = [self._lines.get()]
            if lines[0] is not None:
                time.sleep(GATHER_S)
            with contextlib.suppress(queue.Empty):
                while True:
                    lines.append(self._lines.get_nowait())
            is_over = None in lines
            self._write([line for line in lines if line is not None])

    def _write(self, lines: list[str]) -> None:
        try:
            _write_text(self._stream, "".join(lines))
        except (OSError, ValueError):
            self._failed += len(lines)


def _write_text(stream: TextIO, text: str) -> None:
    """Write by the file descriptor: a thread that waits in a stream's own lock would hinder the interpreter's end."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        stream.write(text)
        stream.flush()
        return
    rest = memoryview(text.encode("utf-8", "backslashreplace"))
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
