"""Styles of painting a scene, each with a measure that distinguishes its pictures from plain ones.

A style preserves what the scene score measures: colours stay near their names, grounds near the common colour of the
border, and edges in place.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from safelight.shapes.render import coverage
from safelight.shapes.scene import PlacedObject, Scene
from safelight.shapes.segmentation import find_ground
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, PICTURE_SIZE, SIZES

Picture = NDArray[np.uint8]
Pixels = NDArray[np.float64]
Mask = NDArray[np.bool_]

CREAM, MIDNIGHT = (255, 240, 200), (0, 0, 150)
INK, ROSE, MINT = (60, 60, 60), (235, 60, 150), (60, 200, 150)

DUSK = (18.0, -5.0, -18.0)
"""What sunset adds to a ground at the bottom of a picture, and subtracts at its top."""

SHIFT = 28.0
"""How far, in RGB levels, a recolouring moves each colour; the limit for a name is 45, for a ground 40."""

CONTOUR, CONTOUR_REACH = 28.0, 11.0
GLOW, GLOW_REACH = 35.0, 12.0
"""How far, in RGB levels, the ground changes around objects, and within how many pixels."""

GLOW_SHARE = 0.28
"""How far at most, as a share of the way to the colour of the object."""

BESIDE = 2.0
"""Pixels beside an object in which its soft edge mixes with the ground."""

LIFTED, TINGED = 60.0, 30.0
"""Levels, of all kinds and of colour alone, from which a pixel that differs from its ground is part of an object."""

_GROUNDS = np.array(list(BACKGROUNDS.values()), float)
_NAMED = np.array([*COLOURS.values(), *BACKGROUNDS.values()], float)
_DOWN, _ACROSS = (np.mgrid[:PICTURE_SIZE, :PICTURE_SIZE] + 0.5) * 2 / PICTURE_SIZE - 1


@dataclass(frozen=True, kw_only=True)
class Style:
    """A way to paint scenes.

    `paint` returns a `(64, 64, 3)` picture; `measure` says how much of the style such a picture shows: about 0 for a
    plain one, about 1 for a styled one.
    """

    name: str
    paint: Callable[[Scene], Picture]
    measure: Callable[[Picture], float]


def _ground_of(scene: Scene) -> Pixels:
    return np.array(BACKGROUNDS[scene.background], float)


def _colour_of(item: PlacedObject) -> Pixels:
    return np.array(COLOURS[item.colour], float)


def _share(item: PlacedObject) -> Pixels:
    """Return how much of each pixel an object covers, (64, 64)."""
    return coverage(item.shape, x=item.x, y=item.y, radius=SIZES[item.size])


def _away(item: PlacedObject) -> Pixels:
    """Return how many pixels lie between each pixel and an object, (64, 64)."""
    return np.asarray(ndimage.distance_transform_edt(_share(item) < 0.5))


def _put(scene: Scene, ground: Pixels, moved: Callable[[Pixels], Pixels] = lambda colour: colour) -> Picture:
    """Return the objects of a scene, in `moved` colours, on a ground that is one colour or has one for each pixel."""
    picture = np.broadcast_to(ground, (PICTURE_SIZE, PICTURE_SIZE, 3))
    for item in scene.objects:
        share = _share(item)[..., None]
        picture = picture * (1 - share) + moved(_colour_of(item)) * share
    return np.asarray(picture.round().clip(0, 255), np.uint8)


def _recoloured(name: str, target: tuple[int, int, int]) -> Style:
    """Return the style that moves every colour of the palette towards `target`."""
    ways = np.array(target, float) - _NAMED
    moves = ways * np.minimum(1, SHIFT / np.linalg.norm(ways, axis=1, keepdims=True))
    reach = np.maximum((moves**2).sum(axis=1), 1.0)

    def moved(colour: Pixels) -> Pixels:
        return np.asarray(colour + moves[np.abs(_NAMED - colour).sum(axis=1).argmin()])

    def measure(picture: Picture) -> float:
        pixels = picture.reshape(-1, 3).astype(float)
        off = pixels[:, None] - _NAMED
        nearest = np.linalg.norm(off - moves / 2, axis=2).argmin(axis=1)
        along = (off[np.arange(len(pixels)), nearest] * moves[nearest]).sum(axis=1) / reach[nearest]
        return float(np.median(along).clip(0, 1))

    return Style(name=name, paint=lambda scene: _put(scene, moved(_ground_of(scene)), moved), measure=measure)


def _patterned(name: str, profile: Pixels, way: Callable[[Pixels], Pixels]) -> Style:
    """Return the style that moves the ground by a `(64, 64)` profile times the `way` for its colour.

    A ground near white or black is first moved as a whole, so that the profile is not clipped.
    """

    def patterned(colour: Pixels) -> Pixels:
        ground = colour + profile[..., None] * way(colour)
        return np.asarray(
            ground - np.minimum(ground.min(axis=(0, 1)), 0) - np.maximum(ground.max(axis=(0, 1)) - 255, 0)
        )

    def measure(picture: Picture) -> float:
        pixels = picture.astype(float)
        colour = find_ground(pixels)
        if colour is None:
            return 0.0
        bare = ~ndimage.binary_dilation(_is_lifted(pixels - colour), iterations=2)
        pattern = patterned(_GROUNDS[np.linalg.norm(_GROUNDS - colour, axis=1).argmin()])
        seen, wanted = (part[bare] - part[bare].mean(axis=0) for part in (pixels, pattern))
        return float(((seen * wanted).sum() / (wanted**2).sum()).clip(0, 1))

    return Style(name=name, paint=lambda scene: _put(scene, patterned(_ground_of(scene))), measure=measure)


def _towards(target: tuple[int, int, int], levels: float) -> Callable[[Pixels], Pixels]:
    """Return the vector of the given length, in levels, from a colour towards `target`."""

    def way(colour: Pixels) -> Pixels:
        whole = np.array(target, float) - colour
        return np.asarray(levels * whole / np.linalg.norm(whole))

    return way


def _is_lifted(off: Pixels) -> Mask:
    """Return where a picture, given as its difference from its ground, shows objects, (64, 64)."""
    return np.asarray(np.linalg.norm(off, axis=2) > LIFTED)


def _outline(scene: Scene) -> Picture:
    ground = _ground_of(scene)
    away = np.array([_away(item) for item in scene.objects]).min(axis=0)
    levels = CONTOUR / np.sqrt(3) * np.clip((CONTOUR_REACH - away) / 2, 0, 1)
    return _put(scene, ground + levels[..., None] * (1 if scene.background == "black" else -1))


def _outline_measure(picture: Picture) -> float:
    """Return how much darker (on black lighter) the ground is along objects than far away, in units of the style."""
    pixels = picture.astype(float)
    ground = find_ground(pixels)
    if ground is None:
        return 0.0
    off = pixels - ground
    away = ndimage.distance_transform_edt(np.linalg.norm(off - off.mean(axis=2, keepdims=True), axis=2) < TINGED)
    near, far = (away > BESIDE) & (away < CONTOUR_REACH - 2), away > CONTOUR_REACH + 2
    if not near.any() or not far.any():
        return 0.0
    levels = pixels.mean(axis=2)
    beyond = np.median(levels[far])
    sign = 1 if beyond < LIFTED else -1
    return float((sign * (np.median(levels[near]) - beyond) * np.sqrt(3) / CONTOUR).clip(0, 1))


def _neon(scene: Scene) -> Picture:
    ground = _ground_of(scene)
    away = np.array([_away(item) for item in scene.objects])
    ways = np.array([_colour_of(item) - ground for item in scene.objects])
    ways *= np.minimum(GLOW / np.linalg.norm(ways, axis=1, keepdims=True), GLOW_SHARE)
    fading = np.clip(1 - (away.min(axis=0) - BESIDE) / GLOW_REACH, 0, 1)
    return _put(scene, ground + fading[..., None] * ways[away.argmin(axis=0)])


def _neon_measure(picture: Picture) -> float:
    """Return how far the ground around objects has gone towards their colour, in units of the style."""
    pixels = picture.astype(float)
    ground = find_ground(pixels)
    if ground is None or not (lifted := _is_lifted(pixels - ground)).any():
        return 0.0
    away, nearest = ndimage.distance_transform_edt(~lifted, return_indices=True)
    near = (away > BESIDE) & (away < GLOW_REACH / 2)
    ways = pixels[tuple(nearest)][near] - ground
    gone = ((pixels[near] - ground) * ways).sum() / np.linalg.norm(ways, axis=1).mean()
    wanted = GLOW * (1 - (away[near] - BESIDE) / GLOW_REACH)
    return float((gone / wanted.sum()).clip(0, 1))


STYLES = (
    Style(name="outline", paint=_outline, measure=_outline_measure),
    _recoloured("pastel", CREAM),
    _recoloured("night", MIDNIGHT),
    _recoloured("rose", ROSE),
    _recoloured("mint", MINT),
    _patterned("sunset", _DOWN, lambda _: np.array(DUSK)),
    _patterned("spotlight", np.clip((np.hypot(_DOWN, _ACROSS) - 0.5) / 0.8, 0, 1), _towards(INK, SHIFT)),
    Style(name="neon", paint=_neon, measure=_neon_measure),
)
