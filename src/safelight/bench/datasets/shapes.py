"""Captions of scenes, by which pictures can be scored: quality and speed of one run."""

from dataclasses import replace

import msgspec

from safelight.bench.datasets.wanted import Asked, Wanted, plain
from safelight.shapes.caption import tell
from safelight.shapes.sampling import draw_scene
from safelight.shapes.vocabulary import PICTURE_SIZE


def read_shapes(wanted: Wanted) -> Asked:
    """Draw captions, a third of them of one object; pictures are as large as the scenes unless that is told."""
    prompts = [
        tell(draw_scene(wanted.rng, objects=1 if wanted.rng.random() < 1 / 3 else 2).wish) for _ in range(wanted.count)
    ]
    shape = wanted.shape
    if shape.width is None and shape.height is None:
        shape = msgspec.structs.replace(shape, width=PICTURE_SIZE, height=PICTURE_SIZE)
    return replace(plain(replace(wanted, shape=shape), prompts), is_of_scenes=True)
