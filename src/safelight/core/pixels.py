"""A picture as bytes."""

import msgspec


class Pixels(msgspec.Struct, frozen=True, kw_only=True):
    """A picture as `height * width * 3` bytes, row by row, red-green-blue."""

    width: int
    height: int
    rgb: bytes
