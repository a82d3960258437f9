"""Finds the flat regions on the ground of a picture, each with its colour and coverage."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from safelight.core.errors import InvalidParameter
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, PICTURE_SIZE

GROUND_REACH = 40.0
"""Largest distance, in RGB levels, of a pixel of the ground from the ground's colour."""

EDGE = 0.35
"""Share of the contrast close by from which a pixel belongs to an object, so that narrow gaps stay open."""

GROUND_SHARE = 0.75
"""Share of the border that must have one colour for a picture to have a ground."""

COLOUR_REACH = 45.0
"""Largest distance, in RGB levels, of a colour from its name in the palette."""

FLAT_REACH = 60.0
FLAT_SHARE = 0.7
"""A region has a colour when this share of it lies so many levels near the blends of that colour and the ground."""

BORDER = 2
"""Width, in pixels, of the frame that shows the ground."""

FRINGE = 2.0
"""How far, in pixels, the soft edge of a region reaches past its hard one."""

DEEP = 0.6
"""An object's colour is read where it is at least this share of its greatest depth deep."""

CHROMA_WEIGHT = 0.5
"""Weight of colour against brightness where edges are measured: compression keeps brightness sharper."""

MIN_PIXELS = 20
"""Regions smaller than this are specks, not objects (the smallest object covers 52 pixels)."""

MIN_SEED = 4
"""Pixels of one colour, away from all edges, that make an object of their own within a region."""

EVEN_SLOPE = 25.0
"""Change of colour, in RGB levels a pixel, below which a patch is even."""

Pixels = NDArray[np.float64]
Mask = NDArray[np.bool_]
Colour = NDArray[np.float64]

_CROSS = ndimage.generate_binary_structure(2, 1)
_LUMA = np.array([0.299, 0.587, 0.114])
_SIGHT = CHROMA_WEIGHT * np.eye(3) + (1 - CHROMA_WEIGHT) * np.outer(_LUMA, np.ones(3))
_PALETTE = np.array(list(COLOURS.values()), float)


@dataclass(frozen=True, kw_only=True)
class Region:
    """One found object: its coverage of each pixel, and its measured colour."""

    share: Pixels
    colour: Colour
    is_flat: bool


def to_pixels(picture: NDArray[np.uint8]) -> Pixels:
    """Return a picture as `(height, width, 3)` levels, averaged down so that its shorter side is `PICTURE_SIZE`.

    Raises:
        InvalidParameter: it is not `(height, width, 3)` bytes, or a side is shorter than a scene.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < PICTURE_SIZE:
        found = f"{picture.dtype} {picture.shape}"
        raise InvalidParameter(
            "picture", found, f"it must be bytes of shape (height, width, 3), {PICTURE_SIZE} or larger"
        )
    height, width = picture.shape[:2]
    scale = min(height, width) / PICTURE_SIZE
    pixels = picture.astype(np.float64)
    if scale == 1:
        return pixels
    down, across = (_averaging(length, round(length / scale)) for length in (height, width))
    lower = (down @ pixels.reshape(height, -1)).reshape(len(down), width, 3)
    return np.asarray(across @ lower)


def _averaging(length: int, wanted: int) -> NDArray[np.float64]:
    """Return the `(wanted, length)` matrix that averages `length` pixels down to `wanted`."""
    edges = np.arange(wanted + 1) * (length / wanted)
    starts = np.arange(length)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    weights = np.clip(overlap, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def find_ground(pixels: Pixels) -> Colour | None:
    """Return the common colour of a picture's border, if there is one."""
    frame = np.ones(pixels.shape[:2], bool)
    frame[BORDER:-BORDER, BORDER:-BORDER] = False
    border = pixels[frame]
    ground = np.median(border, axis=0)
    agree = np.linalg.norm(border - ground, axis=1) < GROUND_REACH
    return ground if agree.mean() >= GROUND_SHARE else None


def name_ground(colour: Colour) -> str | None:
    """Return the palette's name of a ground, or nothing when none is near."""
    return _nearest(colour, list(BACKGROUNDS), np.array(list(BACKGROUNDS.values()), float), GROUND_REACH)


def name_colour(colour: Colour) -> str | None:
    """Return the palette's name of an object's colour, or nothing when none is near."""
    return _nearest(colour, list(COLOURS), _PALETTE, COLOUR_REACH)


def _nearest(colour: Colour, names: list[str], palette: Pixels, reach: float) -> str | None:
    distances = np.linalg.norm(palette - colour, axis=1)
    nearest = int(distances.argmin())
    return names[nearest] if distances[nearest] < reach else None


def find_regions(pixels: Pixels, ground: Colour) -> list[Region]:
    """Return the objects on a ground, without specks; touching objects are separated by colour."""
    contrast = np.linalg.norm(pixels - ground, axis=2)
    lifted = (contrast > GROUND_REACH) & (contrast > EDGE * ndimage.maximum_filter(contrast, size=5))
    parts, count = ndimage.label(lifted)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    marks = np.zeros(lifted.shape, int)
    marked = 0
    for part in range(1, count + 1):
        if sizes[part] >= MIN_PIXELS:
            mask = parts == part
            inside = _split(pixels, mask)
            marks[mask] = inside[mask] + marked
            marked += int(inside.max())
    owners = _spread(marks)
    regions = (_region(pixels, ground, marks == mark, owners == mark) for mark in range(1, marked + 1))
    return [region for region in regions if region is not None]


def _split(pixels: Pixels, mask: Mask) -> NDArray[np.int_]:
    """Return marks from 1 for the differently coloured objects that a connected region is made of."""
    core = ndimage.binary_erosion(mask, _CROSS)
    middle = np.median(pixels[core if core.any() else mask], axis=0)
    strays = core & (np.linalg.norm(pixels - middle, axis=2) > FLAT_REACH)
    if strays.sum() < MIN_PIXELS / 2:
        return mask.astype(int)
    seeds = _seeds(pixels, core)
    if seeds.max() < 2:
        return mask.astype(int)
    _, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    return np.where(mask, seeds[tuple(nearest)], 0)


def _seeds(pixels: Pixels, core: Mask) -> NDArray[np.int_]:
    """Return marks from 1 for the thick, even patches of one palette colour within a core; haze has none."""
    slopes = np.array(np.gradient(pixels, axis=(0, 1)))
    is_even = np.sqrt((slopes**2).sum(axis=(0, 3))) < EVEN_SLOPE
    hues = ((pixels[:, :, None] - _PALETTE) ** 2).sum(axis=3).argmin(axis=2)
    seeds = np.zeros(core.shape, int)
    colours: list[Colour] = []
    for hue in np.unique(hues[core]):
        thick = ndimage.binary_erosion(core & (hues == hue), _CROSS) & is_even
        patches, count = ndimage.label(thick)
        for patch in range(1, count + 1):
            if (patches == patch).sum() >= MIN_SEED:
                seeds[patches == patch] = _mark(np.median(pixels[patches == patch], axis=0), colours)
    return seeds


def _mark(colour: Colour, colours: list[Colour]) -> int:
    """Return the mark of a colour, that of an earlier one if there is one like it."""
    for mark, known in enumerate(colours, start=1):
        if np.linalg.norm(colour - known) < FLAT_REACH:
            return mark
    colours.append(colour)
    return len(colours)


def _spread(marks: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return marks widened by the fringe, each pixel to its nearest mark."""
    distance, nearest = ndimage.distance_transform_edt(marks == 0, return_indices=True)
    return np.where(distance <= FRINGE, marks[tuple(nearest)], 0)


def _region(pixels: Pixels, ground: Colour, hard: Mask, soft: Mask) -> Region | None:
    if hard.sum() < MIN_PIXELS:
        return None
    colour = _deep_colour(pixels, hard)
    share, off_line = _coverage(pixels, ground, colour)
    on_line = off_line < FLAT_REACH
    is_flat = bool(on_line[hard].mean() >= FLAT_SHARE)
    return Region(share=np.where(soft & on_line, share, 0.0), colour=colour, is_flat=is_flat)


def _deep_colour(pixels: Pixels, hard: Mask) -> Colour:
    """Return the median colour of the pixels of a region that lie farthest from its edge."""
    depth = ndimage.distance_transform_edt(np.pad(hard, 1))[1:-1, 1:-1]
    return np.asarray(np.median(pixels[depth >= DEEP * depth.max()], axis=0))


def _coverage(pixels: Pixels, ground: Colour, colour: Colour) -> tuple[Pixels, Pixels]:
    """Return how far each pixel lies on the way from the ground to the colour, and how far off that way in levels."""
    way = (colour - ground) @ _SIGHT
    away = (pixels - ground) @ _SIGHT
    share = away @ way / max(float(way @ way), 1.0)
    off_line = np.linalg.norm(away - share[..., None] * way, axis=2)
    return np.clip(share, -0.5, 1.5), off_line
