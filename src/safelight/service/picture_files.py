"""From pixels to picture files."""

import io
from typing import Final, Literal

from PIL import Image

from safelight.core.pixels import Pixels
from safelight.service.pictures import image_of

PNG_COMPRESSION: Final = 1
FULL_QUALITY: Final = 100

OutputFormat = Literal["png", "jpeg", "webp"]


def encode(pixels: Pixels, output_format: OutputFormat, quality: int = FULL_QUALITY) -> bytes:
    """Return `pixels` as a file."""
    return _file(image_of(pixels), output_format, quality)


def encode_enlarged(pixels: Pixels, size: tuple[int, int], output_format: OutputFormat) -> bytes:
    """Return `pixels`, smoothly enlarged to `size`, as a file."""
    return _file(image_of(pixels).resize(size, Image.Resampling.BICUBIC), output_format, FULL_QUALITY)


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
