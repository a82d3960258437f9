"""Bounds a JSON text before it is parsed: values, keys, depth and bytes outside of strings.

A JSON parser makes an object of every value and holds the interpreter lock meanwhile, so a few megabytes of small
values stop the whole process. The scan works on pieces between quotes, in C, and ends at the first limit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from safelight.core.errors import RequestError

MAX_JSON_VALUES: Final = 10_000
MAX_JSON_KEYS: Final = 4_000
MAX_JSON_DEPTH: Final = 32
MAX_JSON_QUOTES: Final = 1 << 16
MAX_JSON_BACKSLASHES: Final = 1 << 19
"""Fits the largest picture in base64 of encoders that escape slashes."""

MAX_JSON_SYNTAX_BYTES: Final = 1 << 20

_OPENING, _CLOSING = b"[{", b"]}"
_NO_BRACKETS = bytes(set(range(256)) - set(_OPENING + _CLOSING))
_STEPS = [(code in _OPENING) - (code in _CLOSING) for code in range(256)]


@dataclass(frozen=True, kw_only=True)
class JsonLimits:
    """What a JSON text may hold at most.

    Attributes:
        values: scalars, lists and objects; an empty list or object counts as two.
        keys: keys of all objects together.
        depth: lists and objects within each other.
        quotes: quote characters, those within strings included.
        backslashes: in all strings together.
        syntax_bytes: bytes outside of strings: numbers, brackets, white space.
    """

    values: int = MAX_JSON_VALUES
    keys: int = MAX_JSON_KEYS
    depth: int = MAX_JSON_DEPTH
    quotes: int = MAX_JSON_QUOTES
    backslashes: int = MAX_JSON_BACKSLASHES
    syntax_bytes: int = MAX_JSON_SYNTAX_BYTES


class JsonTooComplex(RequestError):
    """A JSON text with more of something than is parsed."""

    def __init__(self, field: str, what: str, limit: int) -> None:
        super().__init__(
            f"The {field} has more than {limit:,} {what}, which is the most that this server reads as JSON.",
            code="json_too_complex",
        )


class InvalidJson(RequestError):
    """A text that is not JSON."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"The {field} is not valid JSON: {reason}.", code="invalid_json")


def check_json(text: bytes, limits: JsonLimits, *, field: str = "body") -> None:
    """Raise JsonTooComplex for a JSON text beyond `limits`.

    Of a text that is not JSON, the part before the first error is within the limits if this returns. The time is
    that of a few passes over the bytes, whatever they are. Raises InvalidJson for UTF-16 and UTF-32.
    """
    if b"\0" in text[:4]:
        raise InvalidJson(field, "it is not text in UTF-8")
    if text.count(b"\\") > limits.backslashes:
        raise JsonTooComplex(field, "backslashes", limits.backslashes)
    pieces = text.split(b'"', limits.quotes + 1)
    if len(pieces) > limits.quotes + 1:
        raise JsonTooComplex(field, "quotes", limits.quotes)
    syntax = b"".join(_outside_strings(pieces))
    if len(syntax) > limits.syntax_bytes:
        raise JsonTooComplex(field, "bytes outside of strings", limits.syntax_bytes)
    if syntax.count(b",") + syntax.count(b"[") + syntax.count(b"{") + 1 > limits.values:
        raise JsonTooComplex(field, "values", limits.values)
    if syntax.count(b":") > limits.keys:
        raise JsonTooComplex(field, "keys", limits.keys)
    brackets = syntax.translate(None, _NO_BRACKETS)[: 2 * limits.values]
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > limits.depth:
        raise JsonTooComplex(field, "levels of nesting", limits.depth)


def _outside_strings(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Yield what is outside of strings, of a text that was split at its quotes."""
    is_inside = False
    for piece in pieces:
        if not is_inside:
            yield piece
            is_inside = True
        else:
            is_inside = _ends_within_escape(piece)


def _ends_within_escape(piece: bytes) -> bool:
    """Whether the quote after `piece`, which begins within a string, belongs to the string."""
    return piece.endswith(b"\\") and (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1
