"""Control pictures of scenes, and how closely a painted picture follows them."""

from collections.abc import Callable, Mapping
from itertools import permutations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from safelight.shapes.looking import ObjectSeen, look
from safelight.shapes.render import coverage
from safelight.shapes.scene import Scene
from safelight.shapes.vocabulary import PICTURE_SIZE, SIZES

MISSING = PICTURE_SIZE / 2
"""Pixels by which an object that is not painted counts as misplaced."""

Picture = NDArray[np.uint8]


def mask(scene: Scene) -> Picture:
    """Return the objects of `scene` filled white on black, `(64, 64, 3)`."""
    return _to_picture(_covered(scene))


def edges(scene: Scene) -> Picture:
    """Return the outlines of the objects of `scene`, white on black, `(64, 64, 3)`."""
    covered = _covered(scene)
    return _to_picture(covered - ndimage.grey_erosion(covered, size=(3, 3)))


CONTROLS: Mapping[str, Callable[[Scene], Picture]] = MappingProxyType({"edges": edges, "mask": mask})
"""The kinds of control pictures by name."""


def _covered(scene: Scene) -> NDArray[np.float64]:
    shares = [coverage(item.shape, x=item.x, y=item.y, radius=SIZES[item.size]) for item in scene.objects]
    return np.asarray(np.max(shares, axis=0))


def _to_picture(share: NDArray[np.float64]) -> Picture:
    return np.repeat((share * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def centre_distance(control: Picture, painted: Picture) -> float:
    """Return the mean distance, in pixels, between painted objects and those of a control picture of either kind."""
    wanted = look(_filled(control)).objects
    seen = look(painted).objects[: len(wanted)]
    players = (*seen, *[None] * (len(wanted) - len(seen)))
    casts = permutations(players)
    return min(float(np.mean([_apart(*pair) for pair in zip(wanted, cast, strict=True)])) for cast in casts)


def _filled(control: Picture) -> Picture:
    inside = ndimage.binary_fill_holes(control[..., 0] >= 128)
    return _to_picture(np.maximum(inside, control[..., 0] / 255))


def _apart(wanted: ObjectSeen, seen: ObjectSeen | None) -> float:
    return MISSING if seen is None else min(MISSING, float(np.hypot(wanted.x - seen.x, wanted.y - seen.y)))
