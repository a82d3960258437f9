"""QuickTime files whose frames are PNG files: videos that need no encoder.

See "QuickTime File Format" by Apple, and ISO/IEC 14496-12 for the boxes that MP4 took over.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_DPI = 72 << 16
_AS_IT_IS = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""The identity matrix."""


@dataclass(frozen=True, kw_only=True)
class _Movie:
    count: int
    frame_bytes: int
    width: int
    height: int
    fps: int


def movie_of(frames: Sequence[bytes], *, width: int, height: int, fps: int) -> bytes:
    """Return a video whose frames are PNG files of the same length."""
    assert len({*map(len, frames)}) == 1
    movie = _Movie(count=len(frames), frame_bytes=len(frames[0]), width=width, height=height, fps=fps)
    return _head(movie) + b"".join(frames)


@lru_cache(maxsize=64)
def _head(movie: _Movie) -> bytes:
    """Return the part of the file before the frames."""
    kind = _box(b"ftyp", b"qt  ", _words(0), b"qt  ")
    frames = struct.pack(">I4s", 8 + movie.count * movie.frame_bytes, b"mdat")
    start = len(kind) + len(_table(movie, start=0)) + len(frames)
    return kind + _table(movie, start=start) + frames


def _table(movie: _Movie, *, start: int) -> bytes:
    """Return the table of contents of frames that start there; its clock ticks once for each."""
    samples = _box(
        b"stbl",
        _full(b"stsd", _words(1), _entry(movie)),
        _full(b"stts", _words(1, movie.count, 1)),
        _full(b"stsc", _words(1, 1, movie.count, 1)),
        _full(b"stsz", _words(movie.frame_bytes, movie.count)),
        _full(b"stco", _words(1, start)),
    )
    here = _box(b"dinf", _full(b"dref", _words(1), _box(b"url ", _words(1))))
    media = _box(
        b"mdia",
        _full(b"mdhd", _words(0, 0, movie.fps, movie.count, 0)),
        _full(b"hdlr", b"mhlr", b"vide", bytes(13)),
        _box(b"minf", _box(b"vmhd", _words(1, 0, 0)), here, samples),
    )
    shown = _full(
        b"tkhd",
        _words(0, 0, 1, 0, movie.count),
        bytes(16),
        _AS_IT_IS,
        _words(movie.width << 16, movie.height << 16),
        flags=0b1111,
    )
    clock = _full(
        b"mvhd", _words(0, 0, movie.fps, movie.count, 1 << 16, 1 << 24), bytes(8), _AS_IT_IS, bytes(24), _words(2)
    )
    return _box(b"moov", clock, _box(b"trak", shown, media))


def _entry(movie: _Movie) -> bytes:
    """Return the sample description: PNG files of 24 bits a pixel, without name and colour table."""
    return _box(b"png ", struct.pack(">6xH16xHHIIIH32xHh", 1, movie.width, movie.height, _DPI, _DPI, 0, 1, 24, -1))


def _box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def _full(kind: bytes, *content: bytes, flags: int = 0) -> bytes:
    return _box(kind, _words(flags), *content)


def _words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)
