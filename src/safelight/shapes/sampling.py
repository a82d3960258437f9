"""Random scenes and captions; a part of all captions is held out of training."""

import zlib
from collections.abc import Iterator

import numpy as np

from safelight.shapes.caption import caption_of
from safelight.shapes.scene import ObjectDescription, PlacedObject, Scene, SceneDescription
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, PICTURE_SIZE, RELATIONS, SHAPES, SIZES

HELD_OUT_ONE_IN = 10
"""One full caption in this many is held out of training."""

MARGIN = 1.5
"""Free pixels between an object and the edge of its part of the picture."""

WANDER_ALONE = 10.0
WANDER_TOGETHER = 8.0
"""Largest distance, in pixels, of an object's centre from the middle of its part of the picture."""


GRID = 4
"""Spacing, in pixels, of the grid of centres; a small model learns few positions faster."""


def is_held_out(description: SceneDescription) -> bool:
    """Return whether this full caption is held out for evaluation (by a fixed hash of its words)."""
    return zlib.crc32(caption_of(description).encode()) % HELD_OUT_ONE_IN == 0


def draw_scene(rng: np.random.Generator, *, objects: int) -> Scene:
    """Return a random scene of one or two objects."""
    background = str(rng.choice(list(BACKGROUNDS)))
    if objects == 1:
        half = PICTURE_SIZE / 2
        alone = _draw_object(rng, x=half, y=half, room=half, wander=WANDER_ALONE)
        return Scene(objects=(alone,), background=background)
    relation = str(rng.choice(RELATIONS))
    near, middle, far = PICTURE_SIZE / 4, PICTURE_SIZE / 2, PICTURE_SIZE * 3 / 4
    centres = ((near, middle), (far, middle)) if relation == "left of" else ((middle, near), (middle, far))
    placed = tuple(_draw_object(rng, x=x, y=y, room=near, wander=WANDER_TOGETHER) for x, y in centres)
    return Scene(objects=placed, background=background, relation=relation)


def _draw_object(rng: np.random.Generator, *, x: float, y: float, room: float, wander: float) -> PlacedObject:
    """Place an object near (x, y), within the square part of half-width `room` along a tight axis."""
    size = str(rng.choice(list(SIZES)))
    half = PICTURE_SIZE / 2
    play_x, play_y = (
        max(0.0, min(wander, (half if middle == half else room) - SIZES[size] - MARGIN)) for middle in (x, y)
    )
    return PlacedObject(
        shape=str(rng.choice(SHAPES)),
        colour=str(rng.choice(list(COLOURS))),
        size=size,
        x=x + _stray(rng, play_x),
        y=y + _stray(rng, play_y),
    )


def _stray(rng: np.random.Generator, play: float) -> float:
    reach = int(play // GRID)
    return float(GRID * rng.integers(-reach, reach, endpoint=True))


def training_scenes(rng: np.random.Generator) -> Iterator[Scene]:
    """Yield random scenes endlessly, a third of them with one object, none with a held-out caption."""
    while True:
        scene = draw_scene(rng, objects=1 if rng.random() < 1 / 3 else 2)
        if not is_held_out(scene.description):
            yield scene


def held_out_captions(rng: np.random.Generator, *, objects: int, count: int) -> list[str]:
    """Return `count` full captions that are held out of training."""
    captions: list[str] = []
    while len(captions) < count:
        description = draw_scene(rng, objects=objects).description
        if is_held_out(description):
            captions.append(caption_of(description))
    return captions


def vary(rng: np.random.Generator, description: SceneDescription, *, drop: float = 0.2) -> SceneDescription:
    """Return `description` with each size, each colour and the ground omitted with probability `drop`."""

    def keep(word: str | None) -> str | None:
        return None if rng.random() < drop else word

    objects = tuple(
        ObjectDescription(shape=o.shape, colour=keep(o.colour), size=keep(o.size)) for o in description.objects
    )
    return SceneDescription(objects=objects, relation=description.relation, background=keep(description.background))
