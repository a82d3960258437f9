"""The file of cascades that `safelight cascade build` writes: TOML, one table for each cascade."""

import json
import os
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from safelight.core.errors import CascadeFileError
from safelight.profiles.decoding import explained
from safelight.reports.atomic_files import write_atomically

FORMAT: Final = 1
LARGEST_BYTES: Final = 1 << 20


class BuiltCascade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two models with a gate between them, and what was measured of them at its thresholds.

    Attributes:
        light, heavy: the models, by the names that they are served under.
        gate: the gate's file; in the file of cascades, relative to that.
        threshold: the least score of a light picture that is the answer.
        router_threshold: a prompt of at least this hardness goes to `heavy` at once; None if none does.
        share: of the pictures that `heavy` paints.
        seconds: of compute a picture, looks of the gate included.
        quality: mean of all answers, from 0 to 1, by the judge.
    """

    name: str
    light: str
    heavy: str
    gate: Path
    threshold: float
    router_threshold: float | None = None
    share: float
    seconds: float
    quality: float

    def __post_init__(self) -> None:
        for field in ("threshold", "share", "quality"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"{field} is {getattr(self, field)}, not from 0 to 1")
        if self.router_threshold is not None and not 0 <= self.router_threshold <= 1:
            raise ValueError(f"router_threshold is {self.router_threshold}, not from 0 to 1")
        if self.light == self.heavy:
            raise ValueError(f"light and heavy are both {self.light!r}; a cascade needs two models")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int
    cascade: tuple[BuiltCascade, ...] = ()


def write_cascades(cascades: Sequence[BuiltCascade], path: Path) -> None:
    """Write cascades to `path`, as a whole or not at all; gates are named relative to its folder."""
    lines = [f"format = {FORMAT}"]
    for cascade in cascades:
        values = msgspec.structs.asdict(cascade)
        values["gate"] = Path(os.path.relpath(cascade.gate, path.parent)).as_posix()
        lines += ["", "[[cascade]]", *(f"{key} = {_toml(value)}" for key, value in values.items() if value is not None)]
    write_atomically(path, lambda target: target.write_text("\n".join(lines) + "\n", encoding="utf-8"))


def read_cascades(path: Path) -> tuple[BuiltCascade, ...]:
    """Read cascades; their gates are named from where the program runs.

    Raises:
        CascadeFileError: if `path` holds no cascades of this version.
    """
    explain = partial(CascadeFileError, path)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise explain(f"it is larger than {LARGEST_BYTES:,} bytes")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise explain("there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise explain(f"it is not TOML ({error})") from error
    if raw.get("format") != FORMAT:
        raise explain(f"it is of format {raw.get('format')!r}, not {FORMAT}; write it with `safelight cascade build`")
    try:
        cascades = msgspec.convert(raw, _File, dec_hook=_decoded).cascade
    except msgspec.ValidationError as error:
        raise explain(explained(str(error), _File)) from error
    names = [cascade.name for cascade in cascades]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise explain(f"two cascades are called {min(doubled)!r}; rename one")
    return tuple(msgspec.structs.replace(cascade, gate=path.parent / cascade.gate) for cascade in cascades)


def _toml(value: object) -> str:
    """Return a string or a number as TOML, which writes strings as JSON does."""
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _decoded(kind: type[Any], value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError
