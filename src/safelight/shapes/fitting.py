"""Classifies a shape: the best match of all shapes drawn at a region's own centre and area."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from safelight.shapes.render import coverage
from safelight.shapes.vocabulary import PICTURE_SIZE, SHAPES, SIZES

MIN_FIT = 0.88
"""Overlap (intersection over union) from which a region counts as its best shape."""

MIN_CLEAR_FIT = 0.84
CLEAR_LEAD = 0.1
"""Overlap that is enough if no other shape is within the lead (circles and squares overlap by 0.84)."""

LENS = 0.8
TEMPLATE_LENSES = (LENS, 1.2)
"""Sigmas, in pixels, of the blurs of a region and its templates; the larger one tolerates soft edges."""

WINDOW = 48
"""Side, in pixels, of the part of a picture in which shapes are compared; no object is that large."""

RADIUS_RANGE = (4.5, 18.0)
"""Half extents, in pixels, between which sizes have names."""

Coverage = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ShapeFit:
    """The shape that a region resembles most; `x`, `y`, `radius` in pixels, `overlap` and its `lead` in [0, 1]."""

    shape: str
    x: float
    y: float
    radius: float
    overlap: float
    lead: float = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether the region is that shape, not only closer to it than to others."""
        return self.overlap >= MIN_FIT or (self.overlap >= MIN_CLEAR_FIT and self.lead >= CLEAR_LEAD)

    @property
    def size(self) -> str | None:
        """The size with the nearest radius, if the radius is plausible."""
        smallest, largest = RADIUS_RANGE
        if not smallest <= self.radius <= largest:
            return None
        return min(SIZES, key=lambda name: abs(SIZES[name] - self.radius))


@dataclass(frozen=True, kw_only=True)
class _Proportions:
    """Of a shape of radius 1: its area, and how far its centre of mass lies below its centre."""

    area: float
    drop: float


@cache
def _proportions(shape: str) -> _Proportions:
    middle, radius = PICTURE_SIZE / 2, PICTURE_SIZE * 0.45
    share = coverage(shape, x=middle, y=middle, radius=radius)
    rows = np.arange(PICTURE_SIZE) + 0.5
    drop = (share.sum(axis=1) @ rows / share.sum() - middle) / radius
    return _Proportions(area=float(share.sum()) / radius**2, drop=float(drop))


@cache
def _lens(blur: float) -> NDArray[np.float64]:
    steps = np.arange(WINDOW)
    weights = np.exp(-((steps[:, None] - steps) ** 2) / (2 * blur**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def centre_of_mass(share: Coverage) -> tuple[float, float]:
    """Return x and y, in pixels from the top left, of the middle of what is covered."""
    total = share.sum()
    across, down = (np.arange(length) + 0.5 for length in (share.shape[1], share.shape[0]))
    return float(share.sum(axis=0) @ across / total), float(share.sum(axis=1) @ down / total)


def fit_shape(share: Coverage) -> ShapeFit:
    """Return the shape of the given area and centre that overlaps most with a `(height, width)` coverage."""
    x, y = centre_of_mass(share)
    left, top = round(x) - WINDOW // 2, round(y) - WINDOW // 2
    seen = _through_lens(_window(share, left=left, top=top), LENS)
    area = float(share.sum())
    fits = []
    for shape in SHAPES:
        proportions = _proportions(shape)
        radius = (area / proportions.area) ** 0.5
        centre_y = y - proportions.drop * radius
        template = coverage(shape, x=x - left, y=centre_y - top, radius=radius, size=WINDOW)
        overlap = max(_overlap(seen, _through_lens(template, blur)) for blur in TEMPLATE_LENSES)
        fits.append(ShapeFit(shape=shape, x=x, y=centre_y, radius=radius, overlap=overlap))
    next_best, best = sorted(fits, key=lambda fit: fit.overlap)[-2:]
    return replace(best, lead=best.overlap - next_best.overlap)


def _window(share: Coverage, *, left: int, top: int) -> Coverage:
    padded = np.pad(share, WINDOW)
    return padded[top + WINDOW : top + 2 * WINDOW, left + WINDOW : left + 2 * WINDOW]


def _through_lens(share: Coverage, blur: float) -> Coverage:
    return np.asarray(_lens(blur) @ share @ _lens(blur).T)


def _overlap(first: Coverage, second: Coverage) -> float:
    return float(np.minimum(first, second).sum() / np.maximum(first, second).sum())
