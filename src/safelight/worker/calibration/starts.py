"""Captions for measuring starts: an earlier caption for each new one, more or less like it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np

from safelight.shapes.caption import caption_of, parse
from safelight.shapes.sampling import held_out_captions, vary
from safelight.shapes.scene import SceneDescription
from safelight.shapes.vocabulary import COLOURS

DROPPED: Final = 0.3
"""Probability that a word of the earlier caption is left out."""

Earlier = Callable[[np.random.Generator, str], str]


def _same(_rng: np.random.Generator, caption: str) -> str:
    return caption


def _vaguer(rng: np.random.Generator, caption: str) -> str:
    return caption_of(vary(rng, parse(caption), drop=DROPPED))


def _recoloured(rng: np.random.Generator, caption: str) -> str:
    return caption_of(_with_another_colour(rng, parse(caption)))


def _unrelated(rng: np.random.Generator, caption: str) -> str:
    return held_out_captions(rng, objects=len(parse(caption).objects), count=1)[0]


EARLIER: Final[Mapping[str, Earlier]] = MappingProxyType(
    {"unrelated": _unrelated, "vaguer": _vaguer, "recoloured": _recoloured, "same": _same}
)
"""Kinds of earlier captions by name."""


def _with_another_colour(rng: np.random.Generator, description: SceneDescription) -> SceneDescription:
    """Return the description with another colour of one object."""
    objects = list(description.objects)
    place = int(rng.integers(len(objects)))
    taken = {each.colour for each in objects} | {description.background}
    free = [colour for colour in COLOURS if colour not in taken]
    objects[place] = replace(objects[place], colour=free[int(rng.integers(len(free)))])
    return replace(description, objects=tuple(objects))
