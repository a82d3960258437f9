"""Picture files that requests bring: decoded to pixels, checked, and resized to the picture to paint."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from safelight.core.errors import InvalidParameter
from safelight.core.pixels import Pixels
from safelight.core.source import KEPT, PAINTED
from safelight.service.picture_structure import MOST_CHUNKS, MOST_SCANS, is_slow_to_decode

READ_FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 4_194_304
OPAQUE, HALF = 255, 128
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the orientation in an EXIF block."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A picture to start from, and a mask of any size in levels of grey: `PAINTED` where it is painted anew."""

    picture: Pixels
    mask: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.picture.width, self.picture.height

    def fitted(self, size: tuple[int, int]) -> tuple[Pixels, bytes | None]:
        """Return the picture and the mask, one byte a pixel, in `size` (width, height)."""
        mask = None if self.mask is None else self.mask.resize(size, Image.Resampling.NEAREST).tobytes()
        return fit(self.picture, size), mask


def read_picture(content: bytes, *, param: str, shown: str) -> Pixels:
    """Return the pixels of a PNG, JPEG or WebP file.

    Args:
        content: the file.
        param: the field of the request that it came in, for errors.
        shown: what errors show of it.

    Raises:
        InvalidParameter: if it is not such a file, or too large.
    """
    return _pixels(_open(content, param=param, shown=shown, use=lambda image: _eight_bit(image).convert("RGB")))


def read_mask(content: bytes, *, param: str, shown: str) -> Image.Image:
    """Return which pixels of a mask are painted anew, in levels of grey; the arguments are those of `read_picture`.

    Raises:
        InvalidParameter: if it is no picture, or too large, or keeps everything.
    """
    painted = _open(content, param=param, shown=shown, use=_painted_pixels)
    if not any(painted.histogram()[PAINTED:]):
        rule = "it keeps everything; make it transparent, or white, where to paint"
        raise InvalidParameter(param, shown, rule)
    return painted


def fit(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return a picture resampled to `size` (width, height), as diffusers does it."""
    if (pixels.width, pixels.height) == size:
        return pixels
    return _pixels(image_of(pixels).resize(size, Image.Resampling.LANCZOS))


def image_of(pixels: Pixels) -> Image.Image:
    """Return pixels as Pillow has them."""
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.rgb)


def _open(content: bytes, *, param: str, shown: str, use: Callable[[Image.Image], Image.Image]) -> Image.Image:
    if is_slow_to_decode(content):
        rule = f"a JPEG may have {MOST_SCANS} scans, and a PNG {MOST_CHUNKS:,} chunks; save it anew"
        raise InvalidParameter(param, shown, rule)
    try:
        with Image.open(io.BytesIO(content), formats=READ_FORMATS) as image:
            _check_size(image, param=param)
            return use(_upright(image))
    except InvalidParameter:
        raise
    except Exception:  # noqa: BLE001 - what a decoder raises for odd files is not all documented
        raise InvalidParameter(param, shown, "it should be a whole PNG, JPEG or WebP picture") from None


def _check_size(image: Image.Image, *, param: str) -> None:
    """Refuse a picture before it is unpacked."""
    if image.width * image.height > MOST_PIXELS:
        raise InvalidParameter(param, f"{image.width}x{image.height}", f"at most {MOST_PIXELS:,} pixels are read")


def _upright(image: Image.Image) -> Image.Image:
    """Return a picture turned as its EXIF block says, if that can be read."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - likewise
        turn = None
    return image if turn is None else image.transpose(turn)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a picture with 8 bits a channel; Pillow itself would cut off what is brighter in one of 16."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))


def _painted_pixels(mask: Image.Image) -> Image.Image:
    """Return where a mask wants something painted: where it is transparent, or white if it is opaque throughout."""
    alpha = mask.convert("RGBA").getchannel("A")
    if any(alpha.histogram()[:OPAQUE]):
        return alpha.point(lambda level: PAINTED if level < HALF else KEPT)
    return _eight_bit(mask).convert("L").point(lambda level: PAINTED if level >= HALF else KEPT)


def _pixels(image: Image.Image) -> Pixels:
    return Pixels(width=image.width, height=image.height, rgb=image.tobytes())
