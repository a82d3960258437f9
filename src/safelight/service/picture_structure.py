"""Picture files whose structure makes them slow to decode, whatever the number of their pixels.

A scan of a progressive JPEG of a few bytes, and a chunk of a PNG of twelve, cost as much as one of any size: a decoder
spends hours on a file of 9 MB that consists of them.
"""

from typing import Final

MOST_SCANS: Final = 50
"""Of a JPEG; encoders write about ten."""

MOST_CHUNKS: Final = 20_000
"""Of a PNG; a file of 9 MB in chunks of 1 kB has half as many."""

_JPEG, _START_OF_SCAN = b"\xff\xd8", b"\xff\xda"
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK_FRAME_BYTES = 12


def is_slow_to_decode(content: bytes) -> bool:
    """Return whether a file has more scans or chunks than are decoded."""
    if content.startswith(_JPEG):
        return content.count(_START_OF_SCAN) > MOST_SCANS
    return content.startswith(_PNG) and _has_many_chunks(content)


def _has_many_chunks(content: bytes) -> bool:
    place = len(_PNG)
    for _ in range(MOST_CHUNKS):
        if place >= len(content):
            return False
        place += _CHUNK_FRAME_BYTES + int.from_bytes(content[place : place + 4])
    return place < len(content)
