"""Parses server-sent events."""

from dataclasses import dataclass, field

from safelight.bench.failures import Failure


@dataclass
class EventStreamParser:
    """Parses a stream of server-sent events in linear time, however it is cut into pieces.

    Attributes:
        most_bytes: limit of one event.
    """

    most_bytes: int
    _line: bytearray = field(default_factory=bytearray)
    _data: bytearray = field(default_factory=bytearray)

    def feed(self, piece: bytes) -> list[bytes]:
        """Add bytes, and return the data of each event that is complete now; raises Failure if one is too large."""
        found, seen, start = list[bytes](), len(self._line), 0
        self._line += piece
        while (end := self._line.find(b"\n", max(seen, start))) >= 0:
            self._parse_line(bytes(self._line[start:end]).removesuffix(b"\r"), found)
            start = end + 1
        del self._line[:start]
        if len(self._line) + len(self._data) > self.most_bytes:
            raise Failure("too_large", f"an event has more than {self.most_bytes >> 20} MiB")
        return found

    def _parse_line(self, line: bytes, found: list[bytes]) -> None:
        if line.startswith(b"data:"):
            self._data += line[5:].strip() + b"\n"
        elif not line:
            if len(self._data) > 1:
                found.append(bytes(self._data[:-1]))
            self._data.clear()
