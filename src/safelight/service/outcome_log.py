"""The outcome log: one line for each request that has ended, as a trace that `safelight trace` reads."""

from pathlib import Path
from typing import BinaryIO

import msgspec

from safelight.core.errors import CannotServe
from safelight.core.log import Log
from safelight.core.outcome import Outcome
from safelight.traces.row import row_of


class OutcomeLog:
    """Appends rows of the trace table, in the order in which requests end; without a path it writes nothing."""

    def __init__(self, path: Path | None, *, epoch_s: float, log: Log) -> None:
        """Open the file.

        Args:
            path: of a file, which is created or appended to.
            epoch_s: Unix time at which the clock of the outcomes is 0.
            log: gets an error when lines begin to be lost; a full disk does not stop the service.

        Raises:
            CannotServe: if the file cannot be written.
        """
        self._file: BinaryIO | None = None
        self._epoch_s = epoch_s
        self._log = log
        self._is_torn = False
        self._encoder = msgspec.json.Encoder()
        if path is not None:
            try:
                self._file = path.open("ab", buffering=0)
            except OSError as error:
                raise CannotServe(f"Cannot write the outcome log {str(path)!r}: {error.strerror}.") from error

    def add(self, outcome: Outcome) -> None:
        """Write one line."""
        if self._file is not None:
            row = row_of(outcome, origin="served", epoch_s=self._epoch_s)
            self._append(self._file, self._encoder.encode(row) + b"\n")

    def _append(self, file: BinaryIO, line: bytes) -> None:
        """Write a line, after a line break if the previous one was cut off."""
        was_torn = self._is_torn
        whole = b"\n" + line if was_torn else line
        try:
            self._is_torn = file.write(whole) != len(whole)
        except OSError as error:
            self._is_torn = True
            if not was_torn:
                self._log.error("outcomes are lost", file=str(file.name), reason=error.strerror)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
