"""A file of lines that other programs may rotate, remove or fill the disk of."""

import contextlib
import os
import stat
from pathlib import Path

_MODE = 0o666
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_NOW = getattr(os, "O_NONBLOCK", 0)
"""Opening a pipe fails at once, instead of waiting for a reader."""


class LineFile:
    """Appends whole lines to a file; one thread may use it.

    A line that cannot be written as a whole is taken back. Where that is not possible, the next one begins on a new
    line, also after an earlier program that was ended within a line. When another file lies at the path, or none, as
    after a rotation, the next line opens the path again.

    Attributes:
        path: of the file, which may be a pipe or a device.
        reopened: how often the path was opened again.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises OSError."""
        self.path = path
        self.reopened = 0
        self._is_torn = False
        self._open()

    def append(self, line: bytes) -> None:
        """Write a line, which ends in a line break.

        Raises:
            OSError: if it cannot be written as a whole.
        """
        if self._is_regular and self._has_moved:
            self._reopen()
        whole = b"\n" + line if self._is_torn else line
        written = 0
        try:
            while written < len(whole):
                written += os.write(self._descriptor, whole[written:])
        except OSError:
            self._is_torn |= not self._took_back(written)
            raise
        self._is_torn = False

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _open(self) -> None:
        descriptor = os.open(self.path, _FLAGS | _NOW, _MODE)
        os.set_blocking(descriptor, True)
        self._descriptor = descriptor
        self._is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._is_torn = self._is_regular and _ends_within_a_line(self.path)

    @property
    def _has_moved(self) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return True
        return not os.path.samestat(there, os.fstat(self._descriptor))

    def _reopen(self) -> None:
        """Open the path again; a file that was moved is written on if that fails, one that was removed is not."""
        before = self._descriptor
        try:
            self._open()
        except OSError:
            if os.fstat(before).st_nlink == 0:
                raise
            return
        os.close(before)
        self.reopened += 1

    def _took_back(self, written: int) -> bool:
        """Return whether nothing of a line is left: `written` bytes are cut off, if no other program wrote after."""
        if not written:
            return True
        try:
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            if os.fstat(self._descriptor).st_size != end:
                return False
            os.ftruncate(self._descriptor, end - written)
        except OSError:
            return False
        return True


def _ends_within_a_line(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return True
