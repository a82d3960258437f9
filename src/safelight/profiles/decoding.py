"""Reads files of profiles, with errors that name the nearest valid key."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar, get_args, get_type_hints

import msgspec

from safelight.core.errors import ProfileError, nearest

Kind = TypeVar("Kind", bound=msgspec.Struct)

_NAME: Final = re.compile(r"\w*[a-z]\w*")
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<place>[^`]*)`)?")


def decoded(text: str, kind: type[Kind], *, formats: Sequence[int], latest: int) -> Kind:
    """Return a struct from TOML; `formats` can be read, and `latest` is that of `kind`.

    Raises:
        ProfileError: if the text is not TOML, of another format, lacks a key, has an unknown one, or a wrong type.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"It is not TOML: {error}") from error
    written = raw.get("format", latest)
    if isinstance(written, bool) or written not in formats:
        known = " and ".join(map(str, formats))
        raise ProfileError(f"It is of format {written!r}; this version reads {known}. Calibrate again, or upgrade")
    try:
        return msgspec.convert({"extrapolates": False, **raw, "format": latest}, kind)
    except msgspec.ValidationError as error:
        raise ProfileError(explained(str(error), kind)) from error


def explained(problem: str, kind: type[Any]) -> str:
    """Return the problem of an unknown key with the nearest valid one."""
    found = _UNKNOWN.search(problem)
    if found is None:
        return problem
    for name in _NAME.findall(found["place"] or ""):
        kind = _struct_in(get_type_hints(kind)[name])
    return f"{problem}; {nearest(found['name'], kind.__struct_fields__)}"


def _struct_in(hint: Any) -> type[Any]:  # noqa: ANN401 - a type, or a generic one
    """Return the struct of a field that holds one, none, or several."""
    structs: Iterator[type[Any]] = (part for part in (hint, *get_args(hint)) if hasattr(part, "__struct_fields__"))
    return next(structs)
