"""Checks whether an answer is a video, and the one that was asked for."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from safelight.bench.failures import Failure
from safelight.bench.media.containers import demuxer_of
from safelight.bench.media.shape import Shape

NOT_DECODED = (
    "Videos are not decoded, only their files' outermost parts are looked at, since PyAV is not installed; "
    "it comes with the extra [video]: pip install 'safelight[video]'."
)

LEAST_CONTRAST = 3
"""In levels of 256; codecs and conversions add less contrast to a single colour."""

RATE_SLACK = 0.01
TIME_SLACK_S = 0.002
"""Rates such as 29.97 count as 30, and WebM has times in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame: `pixels` are RGB (height, width, 3), and `time_s` counts from any start."""

    pixels: NDArray[np.uint8]
    time_s: float | None


Decode = Callable[[bytes, str], Iterator[Frame]]
"""Yields the frames of a file, given FFmpeg's name of its demuxer; raises Failure."""


@dataclass(frozen=True, kw_only=True)
class VideoInspection:
    """Findings about a video; equal frames give equal digests, and a still has several frames that are all equal."""

    digest: bytes
    is_still: bool = False


def inspect_video(file: bytes, *, shape: Shape, fps: int | None, decode: Decode | None) -> VideoInspection:
    """Open a video.

    Args:
        file: as it came.
        shape: as asked for; a size or a number of frames that was left to the server is not checked.
        fps: as asked for, likewise.
        decode: what decodes; None only has the file's outermost parts looked at.

    Raises:
        Failure: if it is none, or not as asked for.
    """
    demuxer = demuxer_of(file)
    if decode is None:
        return VideoInspection(digest=_digest(file))
    seen = _Seen()
    for frame in decode(file, demuxer):
        _check_size(frame, seen, shape)
        seen.add(frame)
        if shape.frames and seen.count > shape.frames:
            raise Failure("wrong_length", f"more than {shape.frames:,} frames")
    if not seen.count:
        raise Failure("damaged", f"{len(file):,} bytes without a frame")
    if shape.frames and seen.count != shape.frames:
        raise Failure("wrong_length", f"{seen.count:,} frames in place of {shape.frames:,}")
    if fps:
        _check_fps(seen, fps)
    if seen.is_blank:
        raise Failure("blank", f"all pixels of each of {seen.count:,} frames are alike")
    return VideoInspection(digest=seen.digests.digest(), is_still=seen.count > 1 and seen.is_still)


@dataclass(kw_only=True)
class _Seen:
    """What the frames so far showed; no frame is kept."""

    count: int = 0
    size: tuple[int, int] | None = None
    first: bytes = b""
    start_s: float | None = None
    end_s: float | None = None
    is_blank: bool = True
    is_still: bool = True
    digests: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, frame: Frame) -> None:
        """Add a frame."""
        digest = _digest(frame.pixels.tobytes())
        if not self.count:
            self.size, self.first, self.start_s = _size(frame), digest, frame.time_s
            self.digests.update(f"{self.size}".encode())
        self.count += 1
        self.end_s = frame.time_s
        self.digests.update(digest)
        self.is_still = self.is_still and digest == self.first
        self.is_blank = self.is_blank and _is_blank(frame)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _size(frame: Frame) -> tuple[int, int]:
    height, width, _ = frame.pixels.shape
    return width, height


def _is_blank(frame: Frame) -> bool:
    return all(int(np.ptp(frame.pixels[..., band])) < LEAST_CONTRAST for band in range(3))


def _check_size(frame: Frame, seen: _Seen, shape: Shape) -> None:
    asked = (shape.width, shape.height) if shape.width and shape.height else seen.size
    if asked is not None and (found := _size(frame)) != asked:
        where = f" at frame {seen.count + 1:,}" if seen.count else ""
        raise Failure("wrong_size", f"{found[0]}x{found[1]} in place of {asked[0]}x{asked[1]}{where}")


def _check_fps(seen: _Seen, fps: int) -> None:
    if seen.count < 2:
        return
    wanted_s = (seen.count - 1) / fps
    if seen.start_s is None or seen.end_s is None:
        raise Failure("wrong_fps", f"frames without times in place of {fps} a second")
    found_s = seen.end_s - seen.start_s
    if abs(found_s - wanted_s) > RATE_SLACK * wanted_s + TIME_SLACK_S:
        found = f"{(seen.count - 1) / found_s:.4g}" if found_s > 0 else "all"
        raise Failure("wrong_fps", f"{found} frames a second in place of {fps}")
