"""Captions of scenes, by which pictures can be scored, so that one run measures quality and speed."""

from dataclasses import replace

import msgspec

from safelight.bench.datasets.dataset import Dataset, DatasetOptions, LoadedRequests, from_prompts
from safelight.bench.errors import BadLoad
from safelight.bench.media.shape import Shape
from safelight.shapes.caption import caption_of
from safelight.shapes.sampling import draw_scene
from safelight.shapes.vocabulary import PICTURE_SIZE


def read_shapes(options: DatasetOptions) -> LoadedRequests:
    """Draw captions, a third of them of one object; pictures have the size of scenes unless a size is given.

    Raises:
        BadLoad: if pictures are too small to be scored.
    """
    shape = _scored(options.shape)
    prompts = [
        caption_of(draw_scene(options.rng, objects=1 if options.rng.random() < 1 / 3 else 2).description)
        for _ in range(options.count)
    ]
    return replace(from_prompts(replace(options, shape=shape), prompts), is_of_scenes=True)


def _scored(shape: Shape) -> Shape:
    """Return a shape with both sides, square if only one is given; raises BadLoad if it is too small."""
    width = shape.width or shape.height or PICTURE_SIZE
    height = shape.height or width
    if min(width, height) < PICTURE_SIZE:
        raise BadLoad(
            f"Pictures of {width}x{height} pixels cannot be scored by their captions, as --dataset shapes does; "
            f"set --width and --height to {PICTURE_SIZE} or more, or leave them out."
        )
    return msgspec.structs.replace(shape, width=width, height=height)


SHAPES = Dataset(name="shapes", read=read_shapes)
