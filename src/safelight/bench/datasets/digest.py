"""Digests by which equal data is recognised."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def sha256_of_files(paths: Sequence[Path]) -> str | None:
    """Return the SHA-256 of concatenated files; None if one is no regular file, such as a pipe."""
    if not all(path.is_file() for path in paths):
        return None
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: found)
    return found.hexdigest()
