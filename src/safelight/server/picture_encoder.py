"""Encodes and decodes picture files in threads, except where a thread costs more than the work."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

from safelight.core.pixels import Pixels
from safelight.server.errors import busy
from safelight.server.settings import MAX_DECODING
from safelight.service.picture_codecs import load_codecs
from safelight.service.picture_files import FULL_QUALITY, OutputFormat, encode, encode_enlarged
from safelight.service.threads import started_threads

ENCODER_THREADS = 2
DECODER_THREADS = 1

DECODING_RETRY_S = 5.0
"""When a client may try again whose pictures cannot wait to be decoded."""

INLINE_PIXELS = 64 * 64
"""Pictures up to this size are encoded on the event loop: a PNG takes at most 0.4 ms there, a flat one 0.04 ms."""

INLINE_FORMATS = frozenset({"png", "jpeg"})

Made = TypeVar("Made")


class PictureEncoder:
    """Encodes and decodes pictures in a few threads of its own; `close` ends them.

    Pictures of requests are decoded in another thread than answers are encoded in, so they do not delay these.
    """

    def __init__(self, *, max_decoding: int = MAX_DECODING) -> None:
        """Decode the pictures of at most `max_decoding` requests, those that wait included."""
        load_codecs()
        self._threads = started_threads(ENCODER_THREADS, name="encode")
        self._decoder = started_threads(DECODER_THREADS, name="decode")
        self._max_decoding = max_decoding
        self._decoding = 0

    async def encode(self, pixels: Pixels, output_format: OutputFormat, quality: int = FULL_QUALITY) -> bytes:
        """Return `pixels` as a file; `quality` (0 to 100) is for the lossy formats."""
        if _is_small((pixels.width, pixels.height), output_format):
            return encode(pixels, output_format, quality)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, encode, pixels, output_format, quality)

    async def encode_preview(self, pixels: Pixels, size: tuple[int, int], output_format: OutputFormat) -> bytes:
        """Return a small preview as a file of `size` (width, height)."""
        if _is_small(size, output_format):
            return encode_enlarged(pixels, size, output_format)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, encode_enlarged, pixels, size, output_format)

    async def encode_all(self, pictures: Sequence[Pixels]) -> list[bytes]:
        """Return small pictures as PNG files, encoded in one thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: [encode(pixels, "png") for pixels in pictures])

    async def decode(self, work: Callable[[], Made]) -> Made:
        """Run `work`, which decodes the pictures of a request, in a thread; raises HttpError if too many wait."""
        if self._decoding >= self._max_decoding:
            raise busy("pictures of other requests wait to be decoded", DECODING_RETRY_S)
        self._decoding += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._decoder, work)
        finally:
            self._decoding -= 1

    def close(self) -> None:
        """End the threads after the pictures in progress."""
        for threads in (self._threads, self._decoder):
            threads.shutdown(wait=False, cancel_futures=True)


def png_data_url(png: bytes) -> str:
    """Return a PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _is_small(size: tuple[int, int], output_format: OutputFormat) -> bool:
    width, height = size
    return width * height <= INLINE_PIXELS and output_format in INLINE_FORMATS
