"""Decodes, checks and resizes the pictures that clients send."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from safelight.core.adapter import ControlNetUse
from safelight.core.errors import InvalidParameter, shorten
from safelight.core.pixels import Pixels
from safelight.core.source import KEPT, PAINTED
from safelight.server.wire.options import ControlChoice

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
"""Transpositions by the orientation in an EXIF block."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A start picture, and a grey-scale mask of any size: `PAINTED` where the picture is painted."""

    picture: Pixels
    mask: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.picture.width, self.picture.height

    def fitted(self, size: tuple[int, int]) -> tuple[Pixels, bytes | None]:
        """Return the picture and the mask, one byte per pixel, in `size` (width, height)."""
        mask = None if self.mask is None else self.mask.resize(size, Image.Resampling.NEAREST).tobytes()
        return fit(self.picture, size), mask


def read_controls(choices: Sequence[ControlChoice]) -> tuple[ControlNetUse, ...]:
    """Return ControlNets with their decoded pictures.

    Raises:
        InvalidParameter: when one is no picture, or too large.
    """
    return tuple(
        ControlNetUse(
            name=choice.name, scale=choice.scale, image=_read(choice.image, param=f"controls[{number}].image")
        )
        for number, choice in enumerate(choices)
    )


def read_sources(pictures: Sequence[str], mask: str | None, *, param: str) -> tuple[Source, ...]:
    """Return start pictures, each with the mask, if there is one.

    Raises:
        InvalidParameter: when one is no picture, or too large, or the mask keeps everything.
    """
    painted = None if mask is None else _open(mask, param="mask", use=_painted_places)
    if painted is not None and not any(painted.histogram()[PAINTED:]):
        rule = "it keeps everything; make it transparent, or white, where to paint"
        raise InvalidParameter("mask", shorten(mask), rule)
    names = [param] if len(pictures) == 1 else [f"{param}[{number}]" for number in range(len(pictures))]
    return tuple(
        Source(picture=_read(picture, param=name), mask=painted) for picture, name in zip(pictures, names, strict=True)
    )


def fit(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return a picture resampled to `size` (width, height), as in diffusers."""
    if (pixels.width, pixels.height) == size:
        return pixels
    return _pixels(image_of(pixels).resize(size, Image.Resampling.LANCZOS))


def image_of(pixels: Pixels) -> Image.Image:
    """Return pixels as a Pillow image."""
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.rgb)


def _read(data_url: str, *, param: str) -> Pixels:
    return _pixels(_open(data_url, param=param, use=lambda image: _eight_bit(image).convert("RGB")))


def _open(data_url: str, *, param: str, use: Callable[[Image.Image], Image.Image]) -> Image.Image:
    try:
        with Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2])), formats=READ_FORMATS) as image:
            _check_size(image, param=param)
            return use(_upright(image))
    except InvalidParameter:
        raise
    except Exception:  # noqa: BLE001 - what a decoder raises for odd files is not all documented
        raise InvalidParameter(param, shorten(data_url), "it should be a whole PNG, JPEG or WebP picture") from None


def _check_size(image: Image.Image, *, param: str) -> None:
    """Check a picture's format and size before it is decoded."""
    if image.width * image.height > MOST_PIXELS:
        raise InvalidParameter(param, f"{image.width}x{image.height}", f"at most {MOST_PIXELS:,} pixels are read")


def _upright(image: Image.Image) -> Image.Image:
    """Return a picture rotated by its EXIF orientation, if that can be read."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - likewise
        turn = None
    return image if turn is None else image.transpose(turn)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a picture with 8 bits per channel; Pillow would clip pictures with 16."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))


def _painted_places(mask: Image.Image) -> Image.Image:
    """Return where a mask is to be painted: where it is transparent, or where it is white if it is fully opaque."""
    alpha = mask.convert("RGBA").getchannel("A")
    if any(alpha.histogram()[:OPAQUE]):
        return alpha.point(lambda level: PAINTED if level < HALF else KEPT)
    return _eight_bit(mask).convert("L").point(lambda level: PAINTED if level >= HALF else KEPT)


def _pixels(image: Image.Image) -> Pixels:
    return Pixels(width=image.width, height=image.height, rgb=image.tobytes())
