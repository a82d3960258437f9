"""Files that are complete or absent."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl

from safelight.reports.errors import CannotWrite, first_line

_PROBE_BYTES = 64 << 10


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a temporary file beside `path`, then rename it to `path`.

    If `path` exists and is no regular file, such as a pipe or a device, `write` fills it directly.

    Raises:
        CannotWrite: if that is not possible.
    """
    try:
        if path.exists() and not path.is_file():
            _write(path, write)
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            _write(Path(name), write)
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(path, error.strerror or error) from error
    except pl.exceptions.PolarsError as error:
        raise CannotWrite(path, first_line(error)) from error


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write`; if polars fails, raise the OSError behind it, since polars does not always report a full disk."""
    try:
        write(path)
    except pl.exceptions.PolarsError:
        with path.open("ab", buffering=0) as file:
            file.write(bytes(_PROBE_BYTES))
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
