"""Which of several ways to serve are worth having: those that no other one beats in both quality and compute."""

from collections.abc import Iterable

import msgspec


class ServingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A way to serve, as measured.

    Attributes:
        name: of the model, or of the cascade.
        seconds: of compute a picture.
        quality: mean, from 0 to 1.
        threshold: of the cascade's gate; None for a model alone.
        share: of pictures that the cascade escalates.
    """

    name: str
    seconds: float
    quality: float
    threshold: float | None = None
    share: float = 0.0


def frontier(points: Iterable[ServingPoint]) -> tuple[ServingPoint, ...]:
    """Return the points that no other one matches at the same compute or less, the cheapest first.

    Of equal points the first one stays.
    """
    kept: list[ServingPoint] = []
    for point in sorted(points, key=lambda each: (each.seconds, -each.quality)):
        if not kept or point.quality > kept[-1].quality:
            kept.append(point)
    return tuple(kept)
