"""How many bytes adapters have: from a file, or drawn."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from safelight.core.errors import nearest, shorten
from safelight.traces.caches.lru import Integers
from safelight.traces.errors import TraceError
from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Name

RANGES_BYTES: Mapping[AdapterColumn, tuple[float, float]] = {"loras": (0.1e9, 1e9), "controlnets": (0.5e9, 10e9)}
"""Least and largest sizes in a production service (Lin et al., SoCC 2025, on the GenTD26 trace)."""


class BadSizes(TraceError):
    """Sizes of adapters that cannot be read, or are incomplete."""


def drawn_bytes(names: Sequence[Name], adapters: AdapterColumn, *, seed: int) -> Integers:
    """Draw a size for each name, log-uniform over `RANGES_BYTES`."""
    low, high = np.log(RANGES_BYTES[adapters])
    return np.exp(np.random.default_rng(seed).uniform(low, high, len(names))).astype(np.int64)


def given_bytes(names: Sequence[Name], path: Path) -> Integers:
    """Return each name's size from a file: a JSON object of names and bytes, or CSV lines `name,bytes`.

    The empty name stands for adapters without one.

    Raises:
        BadSizes: if the file cannot be read, a size is not a whole number of at least 1, or a name is not in it.
    """
    sizes = _read(path)
    missing = [name for name in names if (name or "") not in sizes]
    if missing:
        hint = nearest(missing[0] or "", list(sizes)) if len(sizes) < 1000 else "add them."
        lacking = f"{len(missing):,} of {len(names):,} adapters, such as {shorten(missing[0])}"
        raise BadSizes(f"{str(path)!r} has no size for {lacking}; {hint}")
    return np.array([sizes[name or ""] for name in names], np.int64)


def _read(path: Path) -> dict[str, int]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSizes(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    sizes = _from_json(text, path) if text.lstrip().startswith("{") else _from_csv(text, path)
    for name, size in sizes.items():
        if size < 1:
            raise BadSizes(f"{str(path)!r} gives {shorten(name)} the size {size}; it must be at least 1 byte.")
    return sizes


def _from_json(text: str, path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(text, type=dict[str, int])
    except msgspec.DecodeError as error:
        raise BadSizes(f"{str(path)!r} is no JSON object of names and bytes: {error}.") from error


def _from_csv(text: str, path: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row or row == ["name", "bytes"]:
            continue
        try:
            name, size = row
            sizes[name] = int(size)
        except ValueError:
            raise BadSizes(
                f"Line {number} of {str(path)!r} is {shorten(','.join(row))}; it must be name,bytes."
            ) from None
    return sizes
