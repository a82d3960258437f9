"""Pixels become files."""

import asyncio
import io
import random
import threading

import pytest
from PIL import Image

from safelight.core.pixels import Pixels
from safelight.server.errors import HttpError
from safelight.server.picture_encoder import PictureEncoder
from safelight.service.picture_files import encode, encode_enlarged

NOISE = Pixels(width=32, height=16, rgb=random.Random(0).randbytes(32 * 16 * 3))


def test_png_keeps_every_pixel():
    assert Image.open(io.BytesIO(encode(NOISE, "png"))).tobytes() == NOISE.rgb


def test_less_quality_makes_a_smaller_file():
    assert len(encode(NOISE, "jpeg", 10)) < len(encode(NOISE, "jpeg", 90))


def test_a_preview_is_enlarged_to_the_size_asked_for():
    assert Image.open(io.BytesIO(encode_enlarged(NOISE, (64, 48), "webp"))).size == (64, 48)


@pytest.mark.parametrize("side", [64, 96])
def test_a_file_is_the_same_from_the_event_loop_and_from_a_thread(side):
    pixels = Pixels(width=side, height=side, rgb=random.Random(1).randbytes(side * side * 3))
    encoder = PictureEncoder()
    assert asyncio.run(encoder.encode(pixels, "png")) == encode(pixels, "png")
    encoder.close()


@pytest.mark.parametrize(
    ("side", "output_format", "is_inline"), [(64, "png", True), (80, "png", False), (64, "webp", False)]
)
def test_only_small_pictures_in_quick_formats_are_encoded_on_the_event_loop(side, output_format, is_inline):
    encoder = PictureEncoder()
    encoder.close()
    encoding = encoder.encode(Pixels(width=side, height=side, rgb=bytes(side * side * 3)), output_format)
    if is_inline:
        assert asyncio.run(encoding)
    else:
        with pytest.raises(RuntimeError, match="after shutdown"):
            asyncio.run(encoding)


def test_pictures_to_decode_beyond_a_number_are_refused_until_one_is_done():
    async def scenario():
        encoder = PictureEncoder(max_decoding=2)
        goes_on = threading.Event()
        first, second = (asyncio.create_task(encoder.decode(goes_on.wait)) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(HttpError) as caught:
            await encoder.decode(goes_on.wait)
        goes_on.set()
        await asyncio.gather(first, second)
        assert await encoder.decode(lambda: "decoded") == "decoded"
        encoder.close()
        return caught.value.problem

    problem = asyncio.run(scenario())
    assert (problem.status, problem.code) == (503, "busy")
    assert int(problem.headers["Retry-After"]) >= 1


def test_pictures_are_encoded_while_others_are_decoded():
    async def scenario():
        encoder = PictureEncoder()
        goes_on = threading.Event()
        decoding = [asyncio.create_task(encoder.decode(goes_on.wait)) for _ in range(5)]
        pixels = Pixels(width=96, height=96, rgb=bytes(96 * 96 * 3))
        assert await encoder.encode(pixels, "png")
        goes_on.set()
        await asyncio.gather(*decoding)
        encoder.close()

    asyncio.run(scenario())
