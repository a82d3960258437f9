"""What a picture may start from, other than pure noise."""

import msgspec

from safelight.core.pixels import Pixels

PAINTED, KEPT = 255, 0
"""Bytes of a mask: what is painted anew, and what is kept."""

STRENGTH, STRENGTH_WITHIN_MASK = 0.8, 1.0
"""How much of a picture is painted anew where the client does not say."""


class PictureSource(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of the size to be painted, whose latents are noised (SDEdit; Meng et al., ICLR 2022).

    Attributes:
        mask: `height * width` bytes, row by row, `PAINTED` or `KEPT`; without one, all is painted anew.
        strength: share of the steps that are run; None leaves it to `STRENGTH` or `STRENGTH_WITHIN_MASK`.
    """

    image: Pixels
    mask: bytes | None = None
    strength: float | None = None

    @property
    def held_bytes(self) -> int:
        """What it takes in memory."""
        return self.image.held_bytes + len(self.mask or b"")

    def emptied(self) -> "PictureSource":
        """Return what is left of it without its bytes."""
        return PictureSource(
            image=self.image.emptied(), mask=None if self.mask is None else b"", strength=self.strength
        )

    def first_step(self, steps: int) -> int:
        """Return how many of `steps` the picture stands for, as diffusers counts them; at least one is run."""
        strength = self.strength
        if strength is None:
            strength = STRENGTH if self.mask is None else STRENGTH_WITHIN_MASK
        return steps - max(1, int(steps * strength))


class LatentsHandle(msgspec.Struct, frozen=True, order=True):
    """Names an estimate of a picture that a worker has captured; its bytes stay there until they are fetched."""

    id: str
