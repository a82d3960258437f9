"""The outcome log: one line for each request that has ended, as a trace that `safelight trace` reads."""

import errno
from collections.abc import Callable
from pathlib import Path

import msgspec

from safelight.core.errors import CannotServe
from safelight.core.log import Log
from safelight.core.outcome import Outcome
from safelight.service.line_file import LineFile
from safelight.service.line_writer import MAX_WAITING_BYTES, LineWriter
from safelight.traces.row import row_of


class OutcomeLog:
    """Appends rows of the trace table, in the order in which requests end; without a path it writes nothing.

    A disk that is full, slow or gone costs lines, which are counted, and never blocks or stops the service.
    """

    def __init__(
        self, path: Path | None, *, epoch_s: float, log: Log, max_waiting_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        """Open the file.

        Args:
            path: of a file, which is created or appended to.
            epoch_s: Unix time at which the clock of the outcomes is 0.
            log: gets an error when lines begin to be lost, and a warning when they are written again.
            max_waiting_bytes: of lines that wait for a slow disk.

        Raises:
            CannotServe: if the file cannot be written.
        """
        self._epoch_s = epoch_s
        self._encoder = msgspec.json.Encoder()
        self._writer = None if path is None else LineWriter(_opened(path), log=log, max_waiting_bytes=max_waiting_bytes)

    def watch(self, *, on_written: Callable[[int], None], on_lost: Callable[[int], None]) -> None:
        """Have these called with numbers of lines, in any thread."""
        if self._writer is not None:
            self._writer.watch(on_written=on_written, on_lost=on_lost)

    def add(self, outcome: Outcome) -> None:
        """Write one line soon, in a thread."""
        if self._writer is not None:
            row = row_of(outcome, origin="served", epoch_s=self._epoch_s)
            self._writer.add(self._encoder.encode(row) + b"\n")

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._writer is not None:
            self._writer.close()


def _opened(path: Path) -> LineFile:
    try:
        return LineFile(path)
    except OSError as error:
        reason = "it is a pipe that no program reads" if error.errno == errno.ENXIO else error.strerror
        raise CannotServe(f"Cannot write the outcome log {str(path)!r}: {reason}.") from error
