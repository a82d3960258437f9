"""Scenes to test with, what is true of them, and ways in which a painter blurs them."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from safelight.shapes.render import render
from safelight.shapes.sampling import draw_scene
from safelight.shapes.scene import ObjectDescription, Scene, SceneDescription
from safelight.shapes.score import Fact, score
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES

Picture = NDArray[np.uint8]
Degrade = Callable[[Picture, np.random.Generator], Picture]


def to_picture(levels: NDArray[np.float64]) -> Picture:
    return np.clip(levels.round(), 0, 255).astype(np.uint8)


def blurred(picture: Picture, sigma: float = 0.7) -> Picture:
    return to_picture(ndimage.gaussian_filter(picture.astype(float), (sigma, sigma, 0)))


def noisy(picture: Picture, rng: np.random.Generator) -> Picture:
    return to_picture(picture + rng.normal(0, 8, picture.shape))


def warmer(picture: Picture) -> Picture:
    return to_picture(picture * np.array([1.05, 1.0, 0.95]))


def cooler(picture: Picture) -> Picture:
    return to_picture(picture * np.array([0.95, 1.0, 1.05]))


def shifted(picture: Picture, rng: np.random.Generator) -> Picture:
    by = (*rng.uniform(-0.5, 0.5, 2), 0)
    return to_picture(ndimage.shift(picture.astype(float), by, order=1, mode="nearest"))


def compressed(picture: Picture) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=75)
    return np.array(Image.open(file))


DEGRADED: Mapping[str, Degrade] = MappingProxyType(
    {
        "blur of 0.7 pixels": lambda picture, _: blurred(picture),
        "noise of 8 levels": noisy,
        "warm cast of 5 %": lambda picture, _: warmer(picture),
        "cool cast of 5 %": lambda picture, _: cooler(picture),
        "shift by part of a pixel": shifted,
        "JPEG of quality 75": lambda picture, _: compressed(picture),
        "blur, noise, cast and JPEG at once": lambda picture, rng: compressed(noisy(blurred(warmer(picture)), rng)),
    }
)


def scenes(count: int, *, objects: int, seed: int) -> Iterator[Scene]:
    """Yield scenes from a stream of their own, which no training seed shares."""
    rng = np.random.default_rng([20_261_120, seed])
    return (draw_scene(rng, objects=objects) for _ in range(count))


def facts_of_own_captions(of: Iterable[Scene], show: Callable[[Picture], Picture]) -> list[Fact]:
    """Return the facts of the full captions of scenes, all of which are true, as judged from their pictures."""
    return [fact for scene in of for fact in score(show(render(scene)), scene.description).facts]


def share_that_holds(facts: list[Fact]) -> float:
    return sum(fact.holds for fact in facts) / len(facts)


def a_wish_for_an_object() -> st.SearchStrategy[ObjectDescription]:
    return st.builds(
        ObjectDescription,
        shape=st.sampled_from(SHAPES),
        colour=st.none() | st.sampled_from(list(COLOURS)),
        size=st.none() | st.sampled_from(list(SIZES)),
    )


def descriptions() -> st.SearchStrategy[SceneDescription]:
    """Everything that a caption can say."""
    background = st.none() | st.sampled_from(list(BACKGROUNDS))
    few = st.lists(a_wish_for_an_object(), max_size=1).map(tuple)
    both = st.tuples(a_wish_for_an_object(), a_wish_for_an_object())
    relation = st.none() | st.sampled_from(RELATIONS)
    return st.builds(SceneDescription, objects=few, background=background) | st.builds(
        SceneDescription, objects=both, background=background, relation=relation
    )


def drawn_scenes(*, objects: int) -> st.SearchStrategy[Scene]:
    return st.integers(0, 2**32 - 1).map(lambda seed: next(scenes(1, objects=objects, seed=seed)))
