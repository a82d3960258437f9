"""Decoding of videos by PyAV, which comes with the extra `video`.

Files are not to be trusted, and a thread that decodes one cannot be ended from outside. So it is read as what it begins
like, by codecs of a list, in one thread, and opens no other file; frames, packets and pixels have limits.
"""

import io
from collections.abc import Iterator
from typing import NoReturn

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from safelight.bench.failures import Failure
from safelight.bench.media.videos import Frame

MOST_PIXELS = 1 << 25
"""8K has a little less."""

MOST_PIXELS_IN_ALL = 1 << 34
"""Some minutes of 1080p, which take a core some minutes."""

MOST_FRAMES = 1 << 14
PACKETS_PER_FRAME = 2
"""A frame may be of two fields, and some are never shown."""

CODECS = ("h264", "hevc", "libdav1d", "av1", "vp8", "vp9", "mpeg4", "mjpeg", "png", "gif", "ffv1", "prores")

_CAREFUL = {"err_detect": "explode", "max_pixels": str(MOST_PIXELS)}
_OPENING = _CAREFUL | {"codec_whitelist": "none", "max_streams": "8", "advanced_editlist": "0"}


def frames_of(file: bytes, demuxer: str) -> Iterator[Frame]:
    """Yield a video's frames, one after the other.

    Args:
        file: the bytes of a complete file.
        demuxer: FFmpeg's name of the demuxer.

    Raises:
        Failure: if the video cannot be decoded to its end, or is too large.
    """
    try:
        with av.open(
            io.BytesIO(file), "r", format=demuxer, options=_OPENING, metadata_errors="ignore", io_open=_open_no_more
        ) as container:
            yield from _frames(container)
    except (av.FFmpegError, ValueError, OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, av.FFmpegError) else error
        raise Failure("damaged", f"{len(file):,} bytes that cannot be decoded: {reason}") from None


def _open_no_more(*_: object) -> NoReturn:
    raise PermissionError("a video may not have other files opened")


def _frames(container: InputContainer) -> Iterator[Frame]:
    stream = _stream(container)
    reformatter = VideoReformatter()
    packets = frames = pixels = 0
    for packet in container.demux(stream):
        packets += bool(packet.size)
        if packets > PACKETS_PER_FRAME * MOST_FRAMES:
            raise Failure("too_large", f"the video has more than {PACKETS_PER_FRAME * MOST_FRAMES:,} packets")
        if packet.is_corrupt:
            raise Failure("damaged", f"packet {packets:,} of the video is cut short")
        for found in packet.decode():
            frames, pixels = frames + 1, pixels + found.width * found.height
            if found.is_corrupt:
                raise Failure("damaged", f"frame {frames:,} of the video is damaged")
            if frames > MOST_FRAMES or pixels > MOST_PIXELS_IN_ALL:
                raise Failure("too_large", f"the video has {frames:,} frames or more, of {pixels:,} pixels in all")
            shown = reformatter.reformat(found, format="rgb24")
            yield Frame(pixels=np.asarray(shown.to_ndarray(), np.uint8), time_s=found.time)
    if packets < stream.frames:
        raise Failure("damaged", f"the video has {packets:,} frames of {stream.frames:,} that its file tells of")


def _stream(container: InputContainer) -> VideoStream:
    """Return the first stream of pictures, ready to be decoded in this thread."""
    stream = next(iter(container.streams.video), None)
    if stream is None:
        raise Failure("damaged", "the file holds no video")
    # PyAV has none where FFmpeg knows no decoder, whatever its types say.
    context = getattr(stream, "codec_context", None)
    name = None if context is None else context.name
    if context is None or name not in CODECS:
        raise Failure("damaged", f"the video's codec, {name or 'unknown'}, is none of {', '.join(CODECS)}")
    if context.width * context.height > MOST_PIXELS:
        raise Failure("too_large", f"the video has {context.width}x{context.height} pixels")
    context.thread_count = 1
    context.options = _CAREFUL
    return stream
