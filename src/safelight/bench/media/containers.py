"""The structure of video files: their format, and whether they are complete.

Libraries that decode videos play what there is of a file that was cut short, and take no notice of the rest.
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from safelight.bench.failures import Failure

MOST_PARTS = 1 << 16
MOST_SAMPLES = 1 << 22
"""A few bytes can claim that thousands of millions of samples follow, for which a decoder would take memory at once."""

MOST_TABLE_BYTES = 16 << 20
"""The sample tables of an hour of video are smaller."""

_COUNTED = re.compile(rb"stsz|stz2|trun")
"""Boxes that hold the number of samples of a track or a fragment."""

_IMAGE, _TRAILER = b",;"


@dataclass(frozen=True, kw_only=True)
class _Part:
    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class _Container:
    demuxer: str
    begins: re.Pattern[bytes]
    parts: Callable[[bytes], Iterator[_Part]]


def demuxer_of(file: bytes) -> str:
    """Return FFmpeg's name of the demuxer that reads a video file.

    Raises:
        Failure: if the file is no video, is cut short, or is made to use up memory.
    """
    for container in _CONTAINERS:
        if container.begins.match(file):
            _check(file, container)
            return container.demuxer
    raise Failure("damaged", f"{len(file):,} bytes that begin like no file of a video")


def _check(file: bytes, container: _Container) -> None:
    try:
        parts = list(islice(container.parts(file), MOST_PARTS + 1))
    except (struct.error, IndexError, ValueError):
        parts = []
    if len(parts) > MOST_PARTS:
        raise Failure("too_large", f"the video's file has more than {MOST_PARTS:,} parts")
    if not parts or parts[-1].end != len(file):
        raise Failure("damaged", f"{len(file):,} bytes of a video's file that is cut short, or has other bytes behind")
    if container.demuxer == "mov":
        _check_tables([file[part.start : part.end] for part in parts if part.kind != b"mdat"])


def _check_tables(tables: Sequence[bytes]) -> None:
    if (table_bytes := sum(map(len, tables))) > MOST_TABLE_BYTES:
        raise Failure("too_large", f"the video has {table_bytes:,} bytes that are no frames")
    if any(b"cmov" in table for table in tables):
        raise Failure("damaged", "the video's table of contents is compressed, which is not read here")
    samples = sum(_count(table, found) for table in tables for found in _COUNTED.finditer(table))
    if samples > MOST_SAMPLES:
        raise Failure("too_large", f"the video claims to have {samples:,} samples")


def _count(table: bytes, found: re.Match[bytes]) -> int:
    """Return the sample count of a box whose name was found; a size of 1 means that a 64-bit size precedes it."""
    has_long_size = table[found.start() - 4 : found.start()] == b"\0\0\0\1"
    at = found.end() + 8 * has_long_size + (4 if found[0] == b"trun" else 8)
    return int.from_bytes(table[at : at + 4])


def _boxes(file: bytes) -> Iterator[_Part]:
    """Yield the boxes of MP4 and QuickTime (ISO/IEC 14496-12, 4.2)."""
    start = 0
    while start < len(file):
        size, kind = struct.unpack_from(">I4s", file, start)
        if size == 1:
            size = struct.unpack_from(">Q", file, start + 8)[0]
        elif size == 0:
            size = len(file) - start
        yield _part(kind, start, size)
        start += size


def _chunks(file: bytes) -> Iterator[_Part]:
    """Yield the chunks of RIFF, whose lengths are even."""
    start = 0
    while start < len(file):
        kind, size = struct.unpack_from("<4sI", file, start)
        yield _part(kind, start, 8 + size + size % 2)
        start += 8 + size + size % 2


def _elements(file: bytes) -> Iterator[_Part]:
    """Yield the elements of EBML (RFC 8794); one without a size extends to the end of the file."""
    start = 0
    while start < len(file):
        at = start + 9 - file[start].bit_length()
        size_bytes = 9 - int.from_bytes(file[at : at + 1]).bit_length()
        content = at + size_bytes
        if content > len(file) or size_bytes > 8:
            raise ValueError
        unknown = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(file[at:content]) & unknown
        end = len(file) if size == unknown else content + size
        yield _part(file[start:at], start, end - start)
        start = end


def _blocks(file: bytes) -> Iterator[_Part]:
    """Yield the blocks of GIF89a up to its trailer (its specification, appendix B)."""
    end = 13 + _colours(file[10])
    yield _part(b"GIF", 0, end)
    while (kind := file[end]) != _TRAILER:
        start, end = end, end + (11 + _colours(file[end + 9]) if kind == _IMAGE else 2)
        while file[end]:
            end += 1 + file[end]
        end += 1
        yield _part(file[start : start + 1], start, end - start)
    yield _part(b";", end, 1)


def _colours(flags: int) -> int:
    """Return the bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _part(kind: bytes, start: int, size: int) -> _Part:
    if size < 1:
        raise ValueError
    return _Part(kind=kind, start=start, end=start + size)


_CONTAINERS = (
    _Container(demuxer="mov", begins=re.compile(rb".{4}ftyp", re.DOTALL), parts=_boxes),
    _Container(demuxer="matroska", begins=re.compile(rb"\x1aE\xdf\xa3"), parts=_elements),
    _Container(demuxer="avi", begins=re.compile(rb"RIFF.{4}AVI ", re.DOTALL), parts=_chunks),
    _Container(demuxer="gif", begins=re.compile(rb"GIF8"), parts=_blocks),
)
