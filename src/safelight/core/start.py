"""What a picture may start from, other than pure noise."""

import msgspec

from safelight.core.pixels import Pixels

PAINTED, KEPT = 255, 0
"""Bytes of a mask: what is painted anew, and what is kept."""


class PictureStart(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A picture of the size to be painted, whose latents are noised (SDEdit; Meng et al., ICLR 2022).

    Attributes:
        mask: `height * width` bytes, row by row, `PAINTED` or `KEPT`; without one, all is painted anew.
    """

    image: Pixels
    mask: bytes | None = None

    @property
    def held_bytes(self) -> int:
        """What it takes in memory."""
        return self.image.held_bytes + len(self.mask or b"")

    def emptied(self) -> "PictureStart":
        """Return what is left of it without its bytes."""
        return PictureStart(image=self.image.emptied(), mask=None if self.mask is None else b"")


class LatentsStart(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An estimate that a row of the same model and size has handed out: a latents file."""

    file: bytes

    @property
    def held_bytes(self) -> int:
        """What it takes in memory."""
        return len(self.file)

    def emptied(self) -> "LatentsStart":
        """Return what is left of it without its bytes."""
        return LatentsStart(file=b"")
