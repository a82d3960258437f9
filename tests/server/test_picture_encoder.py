"""Pixels become files."""

import io
import random

from PIL import Image

from safelight.core.pixels import Pixels
from safelight.server.picture_encoder import encode, encode_enlarged

NOISE = Pixels(width=32, height=16, rgb=random.Random(0).randbytes(32 * 16 * 3))


def test_png_keeps_every_pixel():
    assert Image.open(io.BytesIO(encode(NOISE, "png"))).tobytes() == NOISE.rgb


def test_less_quality_makes_a_smaller_file():
    assert len(encode(NOISE, "jpeg", 10)) < len(encode(NOISE, "jpeg", 90))


def test_a_preview_is_enlarged_to_the_size_asked_for():
    assert Image.open(io.BytesIO(encode_enlarged(NOISE, (64, 48), "webp"))).size == (64, 48)
