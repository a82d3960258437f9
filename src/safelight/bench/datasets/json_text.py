"""JSON that users write: lines of a file, values of flags."""

from typing import Annotated, TypeVar

import msgspec

from safelight.bench.errors import BadLoad
from safelight.core.errors import shorten

MOST = 2**31 - 1
"""The largest size that the table of traces can hold, in which requests are logged."""

MARGIN = 200
"""Levels of nesting that are reserved for the body in which the JSON is sent."""

Count = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]

Given = TypeVar("Given")


def read_json(text: str | bytes, into: type[Given], *, location: str, is_strict: bool = True) -> Given:
    """Decode JSON.

    Args:
        text: the JSON.
        into: its type.
        location: where the JSON is, for errors.
        is_strict: whether numbers of another type are refused; else 256.0 is a whole number, as pandas writes it.

    Raises:
        BadLoad: if it is not JSON of that type.
    """
    try:
        found = msgspec.json.decode(text, type=into, strict=is_strict)
        msgspec.json.encode(_nested(found))
    except (msgspec.DecodeError, UnicodeError) as error:
        problem = str(error)
    except RecursionError:
        problem = "it is nested too deeply"
    else:
        return found
    raise BadLoad(f"{location}: {problem}. It is {shorten(text)}.")


def _nested(value: object) -> object:
    for _ in range(MARGIN):
        value = [value]
    return value
