"""Checks files that a command will write, before it does any work."""

import os
from collections.abc import Iterable
from pathlib import Path

from safelight.cli.errors import Misuse
from safelight.core.errors import shorten


def check_output_files(paths: Iterable[Path], *, inputs: Iterable[str | Path] = ()) -> None:
    """Check that each path can be written, and that none overwrites another one or an input.

    Args:
        paths: of files to create or replace; devices and pipes may be named more than once.
        inputs: paths that the command reads; empty ones are ignored.

    Raises:
        Misuse: if one cannot be written, or would overwrite another file of the command.
    """
    kept = {Path(name).resolve() for name in inputs if str(name)}
    for path in paths:
        _check_writable(path)
        if path.exists() and not path.is_file():
            continue
        if path.resolve() in kept:
            raise Misuse(f"{shorten(str(path))} is named twice, and would be written over; name another file.")
        kept.add(path.resolve())


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise Misuse(f"{shorten(str(path))} is a folder; name a file to write.")
    if not path.parent.is_dir():
        raise Misuse(f"There is no folder {shorten(str(path.parent))} to put {path.name} in; make it first.")
    target = path if path.exists() and not path.is_file() else path.parent
    if not os.access(target, os.W_OK):
        raise Misuse(f"Nothing can be written to {shorten(str(target))}; name another place.")
