"""A file with a trace as text: unpacked if it was packed, and read in pieces, whatever its size."""

import gzip
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from safelight.traces.errors import BadTrace

PIECE_BYTES = 4 << 20
LONGEST_LINE_BYTES = 16 << 20
"""No request is longer than this; a file that has none shorter is no trace."""

HEAD_BYTES = 64 << 10

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PACKED_BYTES = 4 << 10
"""So little at a time, since a few bytes of zstd can stand for very many."""


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Some whole lines, each with its end; `first` is the number of the first one, from 1."""

    data: bytes
    first: int


class Source:
    """A trace's text, to be read once."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            BadTrace: if there is nothing to be read at `path`.
        """
        self.path = path
        self._pieces = _pieces(path)
        first = next(self._pieces, b"").removeprefix(_BYTE_ORDER_MARK)
        if not first:
            raise BadTrace(f"{str(path)!r} is empty.")
        self.head = first[:HEAD_BYTES]
        self._pieces = itertools.chain([first], self._pieces)

    def pieces(self) -> Iterator[bytes]:
        """Give the text in pieces of any length."""
        return self._pieces

    def lines(self) -> Iterator[Lines]:
        """Give the text in blocks of whole lines.

        Raises:
            BadTrace: if a line is longer than any request.
        """
        first, rest = 1, b""
        for piece in self._pieces:
            whole, newline, tail = piece.rpartition(b"\n")
            if newline:
                block = Lines(data=rest + whole + newline, first=first)
                first += block.data.count(b"\n")
                rest = tail
                yield block
            else:
                rest += piece
            if len(rest) > LONGEST_LINE_BYTES:
                raise BadTrace(f"Line {first} of {str(self.path)!r} has more than {LONGEST_LINE_BYTES >> 20} MiB.")
        if rest:
            yield Lines(data=rest + b"\n", first=first)


def _pieces(path: Path) -> Iterator[bytes]:
    """Give a file's text in pieces that are not empty; raises BadTrace."""
    try:
        with path.open("rb") as file:
            start = file.peek(len(_ZSTD))
            yield from _unpacked(file, start)
    except IsADirectoryError as error:
        raise BadTrace(f"{str(path)!r} is a folder; name the file of the trace.") from error
    except FileNotFoundError as error:
        raise BadTrace(f"There is no file {str(path)!r}.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise BadTrace(f"{str(path)!r} is packed, and the packing is damaged or cut short: {error}.") from error
    except OSError as error:
        raise BadTrace(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error


def _unpacked(file: BinaryIO, start: bytes) -> Iterator[bytes]:
    if start.startswith(_GZIP):
        with gzip.open(file) as unpacked:
            yield from iter(lambda: unpacked.read(PIECE_BYTES), b"")
    elif start.startswith(_ZSTD):
        yield from _unpacked_zstd(file)
    else:
        yield from iter(lambda: file.read(PIECE_BYTES), b"")


def _unpacked_zstd(file: BinaryIO) -> Iterator[bytes]:
    """Unpack frame after frame; the library's own reader does not notice that a file is cut short."""
    frame, unpacked, size = zstandard.ZstdDecompressor().decompressobj(), list[bytes](), 0
    for packed in iter(lambda: file.read(_PACKED_BYTES), b""):
        rest = packed
        while rest:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            unpacked.append(frame.decompress(rest))
            size += len(unpacked[-1])
            rest = frame.unused_data if frame.eof else b""
        if size >= PIECE_BYTES:
            yield b"".join(unpacked)
            unpacked, size = [], 0
    if size:
        yield b"".join(unpacked)
    if not frame.eof:
        raise EOFError("the last frame does not end")
