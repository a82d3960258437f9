"""Outcome logs of simulated runs: traces in the canonical form, whose origin is `simulated`."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from safelight.core.outcome import Outcome
from safelight.reports.atomic_files import write_atomically
from safelight.traces.row import row_of

Sink = Callable[[Outcome], None]
Result = TypeVar("Result")


def with_outcome_file(path: Path, run: Callable[[Sink], Result]) -> Result:
    """Return what `run` returns, and write each outcome that it gives to its argument as a line of `path`.

    The file is there when the run has ended, complete as far as the run went; an error leaves no file.

    Raises:
        CannotWrite: if the file cannot be written.
    """
    encode, results = msgspec.json.Encoder().encode, list[Result]()

    def write(to: Path) -> None:
        with to.open("wb") as file:
            results.append(run(lambda outcome: _append(file.write, encode(row_of(outcome, origin="simulated")))))

    write_atomically(path, write)
    return results[0]


def _append(write: Callable[[bytes], int], line: bytes) -> None:
    write(line)
    write(b"\n")
