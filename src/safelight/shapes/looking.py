"""Measures the objects in a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safelight.shapes.fitting import ShapeFit, fit_shape
from safelight.shapes.segmentation import Region, find_ground, find_regions, name_colour, name_ground, to_pixels


@dataclass(frozen=True, kw_only=True)
class ObjectSeen:
    """One measured object; an attribute that is not in the vocabulary is `None`.

    `x` and `y` are its centre and `area` is its coverage, in pixels of a 64-pixel scene; `overlap` in [0, 1] says how
    well the nearest shape fits, `radius` is half that shape's extent.
    """

    shape: str | None
    colour: str | None
    size: str | None
    x: float
    y: float
    area: float
    radius: float
    overlap: float


@dataclass(frozen=True, kw_only=True)
class SceneSeen:
    """The measured content of a picture: its objects, largest first, and its ground."""

    objects: tuple[ObjectSeen, ...]
    background: str | None


def look(picture: NDArray[np.uint8]) -> SceneSeen:
    """Return the content of a `(height, width, 3)` picture; one larger than a scene is averaged down first.

    Raises:
        InvalidParameter: if it has another shape, or is smaller than a scene.
    """
    pixels = to_pixels(picture)
    ground = find_ground(pixels)
    if ground is None:
        return SceneSeen(objects=(), background=None)
    objects = (_see(region) for region in find_regions(pixels, ground))
    largest_first = sorted(objects, key=lambda seen: -seen.area)
    return SceneSeen(objects=tuple(largest_first), background=name_ground(ground))


def _see(region: Region) -> ObjectSeen:
    fit: ShapeFit = fit_shape(region.share)
    return ObjectSeen(
        shape=fit.shape if fit.is_sure else None,
        colour=name_colour(region.colour) if region.is_flat else None,
        size=fit.size,
        x=fit.x,
        y=fit.y,
        area=float(region.share.sum()),
        radius=fit.radius,
        overlap=fit.overlap,
    )
