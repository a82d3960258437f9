"""From pixels to picture files and back, off the event loop."""

import asyncio
import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from PIL import Image

from safelight.core.adapter import ControlUse
from safelight.core.errors import InvalidParameter, shorten
from safelight.core.pixels import Pixels
from safelight.server.wire import ControlChoice

ENCODER_THREADS = 2
PNG_COMPRESSION = 1
FULL_QUALITY = 100
READ_FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 4_194_304

OutputFormat = Literal["png", "jpeg", "webp"]


class PictureEncoder:
    """Encodes pictures in a few threads of its own; `close` ends them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="encode")

    async def encode(self, pixels: Pixels, output_format: OutputFormat, quality: int = FULL_QUALITY) -> bytes:
        """Return `pixels` as a file; `quality` (0 to 100) is for the lossy formats."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, encode, pixels, output_format, quality)

    async def encode_preview(self, pixels: Pixels, size: tuple[int, int], output_format: OutputFormat) -> bytes:
        """Return a small preview as a file of `size` (width, height)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, encode_enlarged, pixels, size, output_format)

    async def encode_all(self, pictures: Sequence[Pixels]) -> list[bytes]:
        """Return small pictures as PNG files, all in one go."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: [encode(pixels, "png") for pixels in pictures])

    async def read_all(self, choices: Sequence[ControlChoice]) -> tuple[ControlUse, ...]:
        """Return ControlNets with their pictures as pixels; raises InvalidParameter when one is no picture."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, read_controls, choices)

    def close(self) -> None:
        """End the threads; pictures under way are still finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def encode(pixels: Pixels, output_format: OutputFormat, quality: int = FULL_QUALITY) -> bytes:
    """Return `pixels` as a file."""
    return _file(_image(pixels), output_format, quality)


def encode_enlarged(pixels: Pixels, size: tuple[int, int], output_format: OutputFormat) -> bytes:
    """Return `pixels`, smoothly enlarged to `size`, as a file."""
    return _file(_image(pixels).resize(size, Image.Resampling.BICUBIC), output_format, FULL_QUALITY)


def read_controls(choices: Sequence[ControlChoice]) -> tuple[ControlUse, ...]:
    """Return ControlNets with their pictures as pixels.

    Raises:
        InvalidParameter: when one is no picture, or too large.
    """
    return tuple(
        ControlUse(name=choice.name, scale=choice.scale, image=_read(choice.image, param=f"controls[{place}].image"))
        for place, choice in enumerate(choices)
    )


def _read(data_url: str, *, param: str) -> Pixels:
    try:
        with Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2])), formats=READ_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                size = f"{image.width}x{image.height}"
                raise InvalidParameter(param, size, f"at most {MOST_PIXELS:,} pixels are read")
            return _pixels(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InvalidParameter(param, shorten(data_url), "it should be a whole PNG, JPEG or WebP picture") from None


def fit(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return a picture resampled to `size` (width, height), as diffusers does it."""
    if (pixels.width, pixels.height) == size:
        return pixels
    return _pixels(_image(pixels).resize(size, Image.Resampling.LANCZOS))


def _pixels(image: Image.Image) -> Pixels:
    return Pixels(width=image.width, height=image.height, rgb=image.tobytes())


def png_data_url(png: bytes) -> str:
    """Return a PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _image(pixels: Pixels) -> Image.Image:
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.rgb)


def _file(image: Image.Image, output_format: OutputFormat, quality: int) -> bytes:
    target = io.BytesIO()
    match output_format:
        case "png":
            image.save(target, "PNG", compress_level=PNG_COMPRESSION)
        case "jpeg":
            image.save(target, "JPEG", quality=quality)
        case "webp":
            image.save(target, "WEBP", quality=quality)
    return target.getvalue()
