"""Styles of painting a scene, each with a measure that tells its pictures from plain ones.

A style keeps what the scene score looks at: colours stay within reach of their names, grounds stay even enough, edges
stay where they are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from safelight.shapes.render import coverage, render
from safelight.shapes.scene import Scene
from safelight.shapes.segmentation import find_ground
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, PICTURE_SIZE, SIZES

Picture = NDArray[np.uint8]
Pixels = NDArray[np.float64]

WHITE, MIDNIGHT, BROWN, ROSE, MINT = (255, 255, 255), (5, 5, 75), (150, 105, 50), (235, 60, 150), (60, 200, 150)
SHIFT = 27.0
"""How far, in RGB levels, a style of colour moves each colour; a colour loses its name after 45, a ground after 40."""

OUTLINE = 14.0
"""How many levels a channel the ground darkens along objects; black grounds lighten."""

OUTLINE_REACH = 14.0
NEAR, FAR = (2.0, 4.0), 12.0
"""How far from objects, in pixels, the ground is in their contour, and beyond it."""

HORIZON = ((-24.0, -10.0, 10.0), (10.0, -6.0, -30.0))
"""What sunset adds to a ground at the top of a picture, and at its bottom."""

CORNER = (-20.0, -24.0, 10.0)
"""What the style adds to a ground in the corners of a picture."""

LIFTED = 60.0
"""Levels from the ground from which a measure takes a pixel for part of an object."""

_NAMED = np.array([*COLOURS.values(), *BACKGROUNDS.values()], float)
_DOWN, _ACROSS = np.mgrid[:PICTURE_SIZE, :PICTURE_SIZE].astype(float)
_FAR_OUT = np.clip((np.hypot(_DOWN - 31.5, _ACROSS - 31.5) - 24) / 18, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Style:
    """A way to paint scenes.

    `paint` returns a `(64, 64, 3)` picture; `measure` says how much of the style such a picture shows: about 0 for a
    plain one, about 1 for a styled one. An autoencoder of plain scenes mutes a style; `emphasis` says how many times
    latents are to differ from those of plain scenes as theirs do.
    """

    name: str
    paint: Callable[[Scene], Picture]
    measure: Callable[[Picture], float]
    emphasis: float = 1.0


def _to_picture(pixels: Pixels) -> Picture:
    return pixels.round().clip(0, 255).astype(np.uint8)


def _covered(scene: Scene) -> Pixels:
    """Return the share of each pixel that objects cover, (64, 64)."""
    shares = [coverage(item.shape, x=item.x, y=item.y, radius=SIZES[item.size]) for item in scene.objects]
    return np.asarray(np.max(shares, axis=0))


def _recoloured(name: str, target: tuple[int, int, int]) -> Style:
    """Return the style that moves every colour of the palette towards `target`."""
    ways = np.array(target, float) - _NAMED
    lengths = np.linalg.norm(ways, axis=1, keepdims=True)
    moves = ways * np.minimum(1, SHIFT / lengths)
    reach = np.maximum((moves**2).sum(axis=1), 1.0)

    def moved(colour: tuple[int, int, int]) -> Pixels:
        colour_levels = np.array(colour, float)
        return np.asarray(colour_levels + moves[np.abs(_NAMED - colour_levels).sum(axis=1).argmin()])

    def paint(scene: Scene) -> Picture:
        picture = np.broadcast_to(moved(BACKGROUNDS[scene.background]), (PICTURE_SIZE, PICTURE_SIZE, 3))
        for item in scene.objects:
            share = coverage(item.shape, x=item.x, y=item.y, radius=SIZES[item.size])[..., None]
            picture = picture * (1 - share) + moved(COLOURS[item.colour]) * share
        return _to_picture(picture)

    def measure(picture: Picture) -> float:
        pixels = picture.reshape(-1, 3).astype(float)
        off = pixels[:, None] - _NAMED
        nearest = np.linalg.norm(off - moves / 2, axis=2).argmin(axis=1)
        along = (off[np.arange(len(pixels)), nearest] * moves[nearest]).sum(axis=1) / reach[nearest]
        return float(np.median(along).clip(0, 1))

    return Style(name=name, paint=paint, measure=measure)


def _outline(scene: Scene) -> Picture:
    plain, share = render(scene).astype(float), _covered(scene)
    away = ndimage.distance_transform_edt(share < 0.5)
    contour = np.clip(1 - (away - NEAR[0]) / OUTLINE_REACH, 0, 1) * (1 - share)
    sign = 1 if scene.background == "black" else -1
    return _to_picture(plain + sign * OUTLINE * contour[..., None])


def _outline_measure(picture: Picture) -> float:
    """Return how much darker (on black lighter) the ground is along objects than far away, in units of the style."""
    lifted = _lifted(picture)
    away = ndimage.distance_transform_edt(~lifted)
    near, far = (away >= NEAR[0]) & (away <= NEAR[1]), away > FAR
    if not lifted.any() or not near.any() or not far.any():
        return 0.0
    levels = picture.astype(float).mean(axis=2)
    beyond = float(np.median(levels[far]))
    sign = 1 if beyond < LIFTED else -1
    return float((sign * (np.median(levels[near]) - beyond) / OUTLINE).clip(0, 1))


def _lifted(picture: Picture) -> NDArray[np.bool_]:
    """Return where a picture differs from its ground, (64, 64); nowhere if it has none."""
    pixels = picture.astype(float)
    ground = find_ground(pixels)
    if ground is None:
        return np.zeros(pixels.shape[:2], bool)
    return np.asarray(np.linalg.norm(pixels - ground, axis=2) > LIFTED)


def _sunset(scene: Scene) -> Picture:
    plain, share = render(scene).astype(float), _covered(scene)[..., None]
    height = (_DOWN / (PICTURE_SIZE - 1))[..., None]
    top, bottom = (np.array(levels) for levels in HORIZON)
    return _to_picture(plain + (1 - share) * ((1 - height) * top + height * bottom))


def _sunset_measure(picture: Picture) -> float:
    """Return how much redder against blue the bottom rows are than the top ones, in units of the style."""
    warmth = picture.astype(float)[..., 0] - picture.astype(float)[..., 2]
    gap = np.median(warmth[-4:]) - np.median(warmth[:4])
    full = (HORIZON[1][0] - HORIZON[1][2]) - (HORIZON[0][0] - HORIZON[0][2])
    return float((gap / full).clip(0, 1))


def _corners(scene: Scene) -> Picture:
    plain, share = render(scene).astype(float), _covered(scene)[..., None]
    return _to_picture(plain + (1 - share) * _FAR_OUT[..., None] * np.array(CORNER))


def _corners_measure(picture: Picture) -> float:
    """Return how far the corners differ from the middles of the sides, in units of the style."""
    pixels = picture.astype(float)
    corner = np.median(pixels[_FAR_OUT > 0.85], axis=0)
    side = np.median(pixels[(_FAR_OUT < 0.1) & ~_lifted(picture)], axis=0)
    wanted = np.array(CORNER)
    return float(((corner - side) @ wanted / (wanted @ wanted)).clip(0, 1))


STYLES = (
    Style(name="outline", paint=_outline, measure=_outline_measure, emphasis=1.1),
    _recoloured("pastel", WHITE),
    _recoloured("night", MIDNIGHT),
    _recoloured("sepia", BROWN),
    _recoloured("rose", ROSE),
    _recoloured("mint", MINT),
    Style(name="sunset", paint=_sunset, measure=_sunset_measure, emphasis=1.4),
    Style(name="corners", paint=_corners, measure=_corners_measure, emphasis=1.4),
)
