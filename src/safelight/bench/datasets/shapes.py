"""Captions of scenes, by which pictures can be scored: quality and speed of one run."""

from dataclasses import replace

import msgspec

from safelight.bench.datasets.dataset import DatasetOptions, LoadedRequests, plain
from safelight.bench.errors import BadLoad
from safelight.bench.requests import Shape
from safelight.shapes.caption import tell
from safelight.shapes.sampling import draw_scene
from safelight.shapes.vocabulary import PICTURE_SIZE


def read_shapes(wanted: DatasetOptions) -> LoadedRequests:
    """Draw captions, a third of them of one object; pictures are as large as the scenes unless that is told.

    Raises:
        BadLoad: if pictures would be too small to be scored.
    """
    shape = _scored(wanted.shape)
    prompts = [
        tell(draw_scene(wanted.rng, objects=1 if wanted.rng.random() < 1 / 3 else 2).wish) for _ in range(wanted.count)
    ]
    return replace(plain(replace(wanted, shape=shape), prompts), is_of_scenes=True)


def _scored(shape: Shape) -> Shape:
    """Return a shape whose pictures can be scored, which takes both sides: square where one is told."""
    width = shape.width or shape.height or PICTURE_SIZE
    height = shape.height or width
    if min(width, height) < PICTURE_SIZE:
        raise BadLoad(
            f"Pictures of {width}x{height} pixels cannot be scored by their captions, as --dataset shapes does; "
            f"set --width and --height to {PICTURE_SIZE} or more, or leave them out."
        )
    return msgspec.structs.replace(shape, width=width, height=height)
