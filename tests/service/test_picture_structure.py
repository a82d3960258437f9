"""Files of many scans or chunks are recognized without decoding them."""

import io
import zlib

import pytest
from PIL import Image

from safelight.service.picture_structure import MOST_CHUNKS, MOST_SCANS, is_slow_to_decode

PICTURE = Image.effect_noise((300, 200), 50).convert("RGB")
EMPTY_CHUNK = b"\0\0\0\0abCd" + zlib.crc32(b"abCd").to_bytes(4)


def saved(kind, **options):
    file = io.BytesIO()
    PICTURE.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True, "quality": 100}), ("WEBP", {}), ("GIF", {})],
    ids=repr,
)
def test_ordinary_files_are_not_slow(kind, options):
    assert not is_slow_to_decode(saved(kind, **options))


def test_a_jpeg_of_more_scans_than_are_decoded_is_slow():
    whole = saved("JPEG", progressive=True)
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    repeated = MOST_SCANS - whole.count(b"\xff\xda")
    assert not is_slow_to_decode(whole[:-2] + scan * repeated + whole[-2:])
    assert is_slow_to_decode(whole[:-2] + scan * (repeated + 1) + whole[-2:])


def test_a_png_of_more_chunks_than_are_decoded_is_slow():
    file = io.BytesIO()
    Image.new("L", (16, 16)).save(file, "PNG")
    whole = file.getvalue()
    before, after = whole[:33], whole[33:]
    own = 3
    assert not is_slow_to_decode(before + EMPTY_CHUNK * (MOST_CHUNKS - own) + after)
    assert is_slow_to_decode(before + EMPTY_CHUNK * (MOST_CHUNKS - own + 1) + after)


@pytest.mark.parametrize("file", [b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xff", b"\xff\xd8"])
def test_half_a_file_is_not_slow(file):
    assert not is_slow_to_decode(file)
