"""The outcome log: one JSON line for each request that has ended."""

from pathlib import Path
from typing import BinaryIO

import msgspec

from safelight.core.outcome import Outcome
from safelight.server.errors import CannotServe


class OutcomeLog:
    """Appends outcomes to a file; with no path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        """Open the file; raises CannotServe when that is not possible."""
        self._file: BinaryIO | None = None
        self._encoder = msgspec.json.Encoder()
        if path is not None:
            try:
                self._file = path.open("ab", buffering=0)
            except OSError as error:
                raise CannotServe(f"Cannot write the outcome log {str(path)!r}: {error.strerror}.") from error

    def add(self, outcome: Outcome) -> None:
        """Write one line."""
        if self._file is not None:
            self._file.write(self._encoder.encode(outcome) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
