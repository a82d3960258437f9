"""Lines on their way to a file: written in order by a thread of their own, counted where they are lost."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from safelight.core.log import Log

MAX_WAITING_BYTES: Final = 16 << 20
"""Bytes of lines that may wait for a slow disk; further ones are lost."""

FLUSH_S: Final = 5.0
"""How long the lines that wait may take to be written at the end."""


class Lines(Protocol):
    """A file of lines; `reopened` counts how often its path was opened again."""

    @property
    def path(self) -> object: ...

    @property
    def reopened(self) -> int: ...

    def append(self, line: bytes) -> None:
        """Write a line, or raise OSError."""
        ...

    def close(self) -> None: ...


class LineWriter:
    """Takes lines without blocking, and writes them in order; the first loss is logged, and its end with the count."""

    def __init__(self, file: Lines, *, log: Log, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        """Start the thread.

        Args:
            file: to write to; it is closed at the end.
            log: gets an error when lines begin to be lost, and a warning when they are written again.
            max_waiting_bytes: of lines that have not been written yet.
        """
        self._file = file
        self._log = log
        self._max_waiting_bytes = max_waiting_bytes
        self._on_written: Callable[[int], None] = lambda _: None
        self._on_lost: Callable[[int], None] = lambda _: None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._lost = 0
        self._thread = threading.Thread(target=self._write_all, name="outcomes", daemon=True)
        self._thread.start()

    def watch(self, *, on_written: Callable[[int], None], on_lost: Callable[[int], None]) -> None:
        """Have these called with numbers of lines, in the thread of this writer or of its caller."""
        self._on_written = on_written
        self._on_lost = on_lost

    def add(self, line: bytes) -> None:
        """Write a line, which ends in a line break, soon; it is lost if too many bytes wait."""
        with self._changed:
            has_room = self._waiting_bytes + len(line) <= self._max_waiting_bytes and not self._is_closing
            if has_room:
                self._waiting.append(line)
                self._waiting_bytes += len(line)
                self._changed.notify()
            else:
                self._lose(f"{self._waiting_bytes:,} bytes of lines wait for the disk")

    def close(self, *, within_s: float = FLUSH_S) -> None:
        """Write what waits, and close the file; what is not written in time is lost."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(within_s)
        with self._changed:
            for _ in range(len(self._waiting)):
                self._lose(f"the file took no more within {within_s:g} s")
            self._waiting.clear()
            if self._lost:
                self._log.error("outcomes were lost", file=str(self._file.path), lost=self._lost)
                self._lost = 0
        if not self._thread.is_alive():
            self._file.close()

    def _write_all(self) -> None:
        while (line := self._next()) is not None:
            reopened = self._file.reopened
            try:
                self._file.append(line)
            except OSError as error:
                with self._changed:
                    self._lose(error.strerror or str(error))
            else:
                self._note_written()
            if self._file.reopened != reopened:
                self._log.info("outcome log opened again", file=str(self._file.path))

    def _next(self) -> bytes | None:
        """Wait for the next line; None at the end."""
        with self._changed:
            while not self._waiting:
                if self._is_closing:
                    return None
                self._changed.wait()
            line = self._waiting.popleft()
            self._waiting_bytes -= len(line)
            return line

    def _note_written(self) -> None:
        self._on_written(1)
        with self._changed:
            if not self._lost or self._waiting_bytes > self._max_waiting_bytes // 2:
                return
            lost, self._lost = self._lost, 0
        self._log.warning("outcomes are written again", file=str(self._file.path), lost=lost)

    def _lose(self, reason: str) -> None:
        self._lost += 1
        self._on_lost(1)
        if self._lost == 1:
            self._log.error("outcomes are lost", file=str(self._file.path), reason=reason)
