"""Checks whether an answer is a picture, and the one that was asked for."""

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from safelight.bench.failures import Failure
from safelight.bench.media.shape import Shape
from safelight.core.errors import InvalidParameter, shorten
from safelight.shapes.caption import parse
from safelight.shapes.score import score

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""Pillow reads more formats, and starts other programs for some."""

MOST_PIXELS = 1 << 26


@dataclass(frozen=True, kw_only=True)
class PictureInspection:
    """Findings about a picture; equal pixels give equal digests."""

    digest: bytes
    scene_score: float | None = None


def inspect_picture(
    picture: str | bytes, *, shape: Shape, stated_format: str | None, caption: str | None = None
) -> PictureInspection:
    """Decode and check a picture.

    Args:
        picture: base64 text, or the bytes of a file.
        shape: as requested; a size that the server chose is not checked.
        stated_format: the format that the answer states.
        caption: of a scene, by which the picture is scored.

    Raises:
        Failure: if it is not a picture, or not the one that was requested.
    """
    pixels = _pixels(decode_file(picture), shape, stated_format)
    if all(low == high for low, high in map(_range, pixels.split())):
        raise Failure("blank", "all pixels are alike")
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
    return PictureInspection(digest=digest, scene_score=None if caption is None else _score(pixels, caption))


def decode_file(picture: str | bytes) -> bytes:
    """Return the bytes of a picture that is base64 text or bytes; raises Failure."""
    if isinstance(picture, bytes):
        return picture
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure("bad_base64", f"{len(picture):,} characters: {error}") from None


def _pixels(file: bytes, shape: Shape, stated_format: str | None) -> Image.Image:
    try:
        with Image.open(io.BytesIO(file), formats=FORMATS) as opened:
            _check(opened, shape, stated_format)
            return opened.convert("RGB")
    except Failure:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise Failure("damaged", f"{len(file):,} bytes that are none of {known}: {shorten(file[:16])}") from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything at bytes that others made
        raise Failure("damaged", f"{len(file):,} bytes that cannot be decoded: {error}") from None


def _score(pixels: Image.Image, caption: str) -> float:
    try:
        return score(np.asarray(pixels), parse(caption)).share
    except InvalidParameter as error:
        raise Failure("wrong_size", f"it cannot be scored: {error}") from None


def _check(opened: Image.Image, shape: Shape, stated_format: str | None) -> None:
    width, height = opened.size
    if width * height > MOST_PIXELS:
        raise Failure("too_large", f"the picture has {width}x{height} pixels")
    if shape.width and shape.height and (width, height) != (shape.width, shape.height):
        raise Failure("wrong_size", f"{width}x{height} in place of {shape.width}x{shape.height}")
    found = (opened.format or "").lower()
    if stated_format and stated_format.lower().replace("jpg", "jpeg") != found:
        raise Failure("wrong_format", f"{found} in place of {stated_format}")


def _range(band: Image.Image) -> tuple[object, object]:
    """Return the least and the greatest value of a band of bytes."""
    low, high = band.getextrema()
    return low, high
