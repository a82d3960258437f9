"""What a picture may start from, other than noise."""

import msgspec

from safelight.core.pixels import Pixels

PAINTED, KEPT = 255, 0
"""Bytes of a mask: where the picture is painted, and where the source is kept."""

STRENGTH, STRENGTH_WITHIN_MASK = 0.8, 1.0
"""Defaults of `strength`."""


class PictureSource(msgspec.Struct, frozen=True, kw_only=True):
    """A start picture of the size of the output; its latents are noised (SDEdit; Meng et al., ICLR 2022).

    Attributes:
        mask: `height * width` bytes, row by row, `PAINTED` or `KEPT`; None paints everywhere.
        strength: share of the steps that are run; None means `STRENGTH`, or `STRENGTH_WITHIN_MASK` with a mask.
    """

    image: Pixels
    mask: bytes | None = None
    strength: float | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes in memory."""
        return self.image.held_bytes + len(self.mask or b"")

    def emptied(self) -> "PictureSource":
        """Return the same source without its bytes."""
        return PictureSource(
            image=self.image.emptied(), mask=None if self.mask is None else b"", strength=self.strength
        )

    def first_step(self, steps: int) -> int:
        """Return how many of `steps` are skipped, as diffusers counts them; at least one is run."""
        strength = self.strength
        if strength is None:
            strength = STRENGTH if self.mask is None else STRENGTH_WITHIN_MASK
        return steps - max(1, int(steps * strength))


class LatentsHandle(msgspec.Struct, frozen=True, order=True):
    """Names a captured estimate of a picture; its bytes stay in the worker until they are fetched."""

    id: str
