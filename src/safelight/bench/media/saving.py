"""Saves pictures and videos; no file is ever replaced, and servers do not influence file names."""

import errno
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from safelight.bench.media.file_types import file_type_of

MOST_NAME_CHARACTERS = 100

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


def ending_of(file: bytes) -> str:
    """Return the file name extension for the content of a file; "bin" if its type is unknown."""
    kind = file_type_of(file)
    return "bin" if kind is None else kind.ending


@dataclass(kw_only=True)
class MediaFolder:
    """A folder that several threads save to.

    Attributes:
        problem: the first reason why something was not saved.
    """

    folder: Path
    problem: str = ""
    _is_over: bool = False
    _taken: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def save(self, request_id: str, number: int, file: bytes) -> None:
        """Write one file of a request; after an error that all others would have too, do nothing."""
        if self._is_over:
            return
        name = _UNFIT.sub("_", request_id)[:MOST_NAME_CHARACTERS].lstrip(".")
        try:
            self._write(f"{name}-{number}", ending_of(file), file)
        except OSError as error:
            self._is_over = error.errno != errno.ENAMETOOLONG
            self.note_problem(f"{self.folder}: {error.strerror or error}")

    def note_problem(self, problem: str) -> None:
        """Record why something is not saved."""
        self.problem = self.problem or problem

    def _write(self, name: str, ending: str, file: bytes) -> None:
        while True:
            try:
                with self._free(name, ending).open("xb") as to:
                    to.write(file)
            except FileExistsError:
                continue
            return

    def _free(self, name: str, ending: str) -> Path:
        """Return a path that was not returned before, though a file may exist there."""
        with self._lock:
            self._taken[name] += 1
            count = self._taken[name]
        return self.folder / (f"{name}.{ending}" if count == 1 else f"{name}.{count}.{ending}")
