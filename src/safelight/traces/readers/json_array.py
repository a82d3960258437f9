"""One JSON array of objects, however long, decoded a few megabytes at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from safelight.traces.errors import BadTrace
from safelight.traces.read_log import ReadLog
from safelight.traces.readers.decode_errors import describe_decode_error
from safelight.traces.source import LONGEST_LINE_BYTES, Source

Element = TypeVar("Element", bound=msgspec.Struct)

_SPACE = " \t\r\n"
_scan = json.JSONDecoder().raw_decode


@dataclass(frozen=True, kw_only=True)
class Elements(Generic[Element]):
    """Some neighbours in the array, and their places, counted from 1."""

    values: list[Element]
    places: list[int]


class JsonArray(Generic[Element]):
    """Reads, once, an array whose elements are all of one kind.

    The last whole object in what was read is guessed to end at its last brace. Where that guess is wrong, or an object
    is not what it should be, objects are read one by one instead, so that each can be told by its place.
    """

    def __init__(self, source: Source, kind: type[Element], read_log: ReadLog) -> None:
        self._source = source
        self._kind = kind
        self._decode = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]
        self._read_log = read_log
        self._text = b""
        self._byte = 0
        self._count = 0
        self._separator = b"["

    def elements(self) -> Iterator[Elements[Element]]:
        """Give the elements in order; raises BadTrace."""
        for piece in self._source.pieces():
            self._text += piece
            yield from self._whole()
            if len(self._text) > LONGEST_LINE_BYTES:
                break
        self._end()

    def _whole(self) -> Iterator[Elements[Element]]:
        """Give the elements that are whole in the text at hand, and forget their text."""
        while self._is_at_element():
            cut = self._text.rfind(b"}") + 1
            first = self._count + 1
            try:
                values = self._decode(b"[" + self._text[:cut] + b"]")
            except (msgspec.DecodeError, UnicodeDecodeError):
                found = self._whole_singly()
            else:
                self._forget(cut, len(values))
                found = Elements(values=values, places=list(range(first, self._count + 1)))
            if self._count < first:
                return
            yield found

    def _is_at_element(self) -> bool:
        """Move past the separator that is due, and say whether an element follows."""
        self._forget(len(self._text) - len(self._text.lstrip()))
        if self._separator and self._text.startswith(self._separator):
            self._forget(len(self._separator))
            self._forget(len(self._text) - len(self._text.lstrip()))
            self._separator = b""
        return not self._separator and bool(self._text) and not self._text.startswith(b"]")

    def _whole_singly(self) -> Elements[Element]:
        text = self._text.decode("utf-8", "surrogateescape")
        found = Elements[Element](values=[], places=[])
        at = end = count = 0
        while not count or text[at : at + 1] == ",":
            try:
                value, end = _scan(text, _next(text, at + bool(count)))
            except (json.JSONDecodeError, RecursionError):
                break
            count += 1
            self._keep(value, self._count + count, found)
            at = _next(text, end)
        self._forget(len(text[:end].encode("utf-8", "surrogateescape")), count)
        return found

    def _keep(self, value: object, place: int, found: Elements[Element]) -> None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
            found.values.append(msgspec.convert(value, self._kind))
            found.places.append(place)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            reason, problem = describe_decode_error(error, self._kind.__struct_fields__)
            self._read_log.drop(reason, where=f"request {place}", problem=problem)

    def _forget(self, size: int, count: int = 0) -> None:
        self._text = self._text[size:]
        self._byte += size
        self._count += count
        if count:
            self._separator = b","

    def _end(self) -> None:
        """Make sure that the array ends where the text does."""
        is_closed = self._separator == b"," or not (self._count or self._separator)
        if is_closed and self._text.startswith(b"]") and not self._text[1:].strip():
            return
        is_cut, byte, problem = self._break()
        where = f"byte {byte}"
        problem = f"{problem} {self._count:,} requests were read before it."
        if is_cut and len(self._text) > LONGEST_LINE_BYTES:
            raise BadTrace(
                f"{str(self._source.path)!r}, {where}: One request has more than {LONGEST_LINE_BYTES >> 20} MiB."
            )
        self._read_log.drop(f"broken JSON from byte {byte} on", where=where, problem=problem)

    def _break(self) -> tuple[bool, int, str]:
        """Return whether the text is merely cut short, where it breaks, and what is wrong there."""
        if self._text.startswith(b"]") and self._separator:
            return False, self._byte + 1, "More follows after the end of the JSON."
        if self._text and self._separator:
            return False, self._byte, f"The JSON is broken: {self._separator.decode()!r} is missing."
        if self._text and not self._text.startswith(b"{"):
            return False, self._byte, "The JSON is broken: an object was expected."
        if _is_cut(self._text):
            return True, self._byte + len(self._text), "The JSON breaks off."
        text = self._text.decode("utf-8", "surrogateescape")
        at, words = _fault(text)
        return False, self._byte + len(text[:at].encode("utf-8", "surrogateescape")), f"The JSON is broken: {words}."


def _is_cut(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return "truncated" in str(error) or f"(byte {len(text)})" in str(error)
    except (UnicodeDecodeError, RecursionError):
        pass
    return False


def _fault(text: str) -> tuple[int, str]:
    """Return where a text that does not begin with a whole object goes wrong, and how."""
    try:
        _scan(text)
    except json.JSONDecodeError as error:
        return error.pos, error.msg
    except RecursionError:
        pass
    return 0, "it is nested too deeply"


def _next(text: str, at: int) -> int:
    """Return the place of the next character that is no space."""
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at
