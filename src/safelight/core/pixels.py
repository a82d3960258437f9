"""A picture as bytes."""

import msgspec


class Pixels(msgspec.Struct, frozen=True, kw_only=True):
    """A picture as `height * width * 3` bytes, row by row, red-green-blue."""

    width: int
    height: int
    rgb: bytes

    @property
    def held_bytes(self) -> int:
        """Bytes in memory."""
        return len(self.rgb)

    def emptied(self) -> "Pixels":
        """Return the same picture without its bytes."""
        return Pixels(width=self.width, height=self.height, rgb=b"")
