"""Drawing scenes: flat, antialiased shapes on a flat ground."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from safelight.shapes.scene import Scene
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, PICTURE_SIZE, SIZES

SUBPIXELS = 4
"""Samples per pixel and axis, for the coverage of edges."""

Coordinates = NDArray[np.float64]
Mask = NDArray[np.bool_]


def _circle(x: Coordinates, y: Coordinates) -> Mask:
    return np.asarray(x**2 + y**2 <= 1)


def _square(x: Coordinates, y: Coordinates) -> Mask:
    return np.maximum(np.abs(x), np.abs(y)) <= 0.88


def _triangle(x: Coordinates, y: Coordinates) -> Mask:
    return (y <= 0.85) & (y >= -1 + 1.85 * np.abs(x))


def _star(x: Coordinates, y: Coordinates) -> Mask:
    tips, inner = 5, 0.42
    angle = np.arctan2(x, -y) % (2 * np.pi / tips)
    angle = np.minimum(angle, 2 * np.pi / tips - angle)
    half = np.pi / tips
    # The edge runs from the tip (radius 1, angle 0) to the notch (radius `inner`, angle `half`).
    edge = inner * np.sin(half) / (inner * np.sin(half - angle) + np.sin(angle))
    return np.asarray(np.hypot(x, y) <= edge)


def _cross(x: Coordinates, y: Coordinates) -> Mask:
    x, y = np.abs(x), np.abs(y)
    return (np.maximum(x, y) <= 0.95) & (np.minimum(x, y) <= 0.32)


def _heart(x: Coordinates, y: Coordinates) -> Mask:
    lobes = (np.abs(x) - 0.47) ** 2 + (y + 0.38) ** 2 <= 0.5**2
    point = (np.abs(x) * 1.06 + y <= 0.95) & (y >= -0.38 + 0.15 * (np.abs(x) < 0.47))
    wedge = (np.abs(x) <= 0.47) & (y >= -0.38) & (np.abs(x) * 1.06 + y <= 0.95)
    return lobes | (point & (np.abs(x) <= 0.93)) | wedge


_INSIDE: Mapping[str, Callable[[Coordinates, Coordinates], Mask]] = MappingProxyType(
    {"circle": _circle, "square": _square, "triangle": _triangle, "star": _star, "cross": _cross, "heart": _heart}
)


def coverage(shape: str, *, x: float, y: float, radius: float, size: int = PICTURE_SIZE) -> NDArray[np.float64]:
    """Return the share of each pixel that a shape covers, as `(size, size)` values in [0, 1]."""
    covered = np.zeros((size, size))
    rows, columns = (slice(max(0, int(c - radius) - 1), min(size, int(c + radius) + 2)) for c in (y, x))
    down, across = (
        (np.arange(part.start * SUBPIXELS, part.stop * SUBPIXELS) + 0.5) / SUBPIXELS for part in (rows, columns)
    )
    inside = _INSIDE[shape]((across[None, :] - x) / radius, (down[:, None] - y) / radius)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    covered[rows, columns] = inside.reshape(height, SUBPIXELS, width, SUBPIXELS).mean(axis=(1, 3))
    return covered


def render(scene: Scene) -> NDArray[np.uint8]:
    """Return the picture of `scene`, as `(height, width, 3)` bytes; later objects lie on top."""
    picture = np.broadcast_to(np.array(BACKGROUNDS[scene.background], float), (PICTURE_SIZE, PICTURE_SIZE, 3))
    for item in scene.objects:
        share = coverage(item.shape, x=item.x, y=item.y, radius=SIZES[item.size])[..., None]
        picture = picture * (1 - share) + np.array(COLOURS[item.colour], float) * share
    return picture.round().astype(np.uint8)
