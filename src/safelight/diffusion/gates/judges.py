"""Judges: what says, in training and evaluation only, which pictures are good enough."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from safelight.diffusion.gates.net import GRID, words_of
from safelight.shapes.caption import parse
from safelight.shapes.looking import SceneSeen, look
from safelight.shapes.score import judge
from safelight.shapes.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    PICTURE_SIZE,
    RELATION_WORDS,
    SHAPES,
    SIZES,
    SYNONYMS,
)

Picture = NDArray[np.uint8]

TRAITS: Final = (len(SHAPES) + 1, len(COLOURS) + 1, len(SIZES) + 1)
"""How many values the shape, the colour and the size of an object have; 0 is none of the known ones."""


class Verdicts(Protocol):
    """What a judge has seen of one picture."""

    def suits(self, prompt: str) -> bool:
        """Return whether the picture is good enough for `prompt`, which need not be the one that it was made for."""
        ...

    def value(self, prompt: str) -> float:
        """Return how well the picture follows `prompt`, from 0 to 1."""
        ...

    def words(self, prompt: str) -> Mapping[int, bool]:
        """Return whether the picture shows what each word says, by its number; empty if the judge cannot say."""
        ...

    def objects(self) -> Sequence[tuple[int, ...]]:
        """Return cell, shape, colour and size of each object, as numbers; empty if the judge cannot say."""
        ...


class Judge(Protocol):
    """Looks at pictures, `(height, width, 3)`."""

    @property
    def name(self) -> str: ...

    def look(self, picture: Picture) -> Verdicts:
        """Return what is seen of one picture."""
        ...


class SceneVerdicts:
    """What the scene score sees of a picture."""

    def __init__(self, seen: SceneSeen) -> None:
        self._seen = seen

    def suits(self, prompt: str) -> bool:
        """Return whether every fact of the prompt holds."""
        return judge(self._seen, parse(prompt)).all_hold

    def value(self, prompt: str) -> float:
        """Return the share of the facts that hold."""
        return judge(self._seen, parse(prompt)).share

    def words(self, prompt: str) -> Mapping[int, bool]:
        """Return whether the fact of each known word holds, by the word's number."""
        facts = {fact.name: fact.holds for fact in judge(self._seen, parse(prompt)).facts}
        named: dict[int, str] = {}
        objects = 1
        for number, spelled in enumerate(words_of(prompt)):
            word = SYNONYMS.get(spelled, spelled)
            if word in SHAPES:
                named[number] = f"object {objects} shape"
                objects += 1
            elif word in COLOURS or word in SIZES:
                named[number] = f"object {objects} {'colour' if word in COLOURS else 'size'}"
            elif word in RELATION_WORDS or word in BACKGROUNDS:
                named[number] = "relation" if word in RELATION_WORDS else "background"
        return {number: facts[name] for number, name in named.items() if name in facts}

    def objects(self) -> Sequence[tuple[int, ...]]:
        """Return the objects that are seen."""
        return [
            (
                _cell(seen.y) * GRID + _cell(seen.x),
                _number(seen.shape, SHAPES),
                _number(seen.colour, tuple(COLOURS)),
                _number(seen.size, tuple(SIZES)),
            )
            for seen in self._seen.objects
        ]


class SceneJudge:
    """The scene score: for pictures of the embedded domain."""

    name: ClassVar[str] = "scene"

    def look(self, picture: Picture) -> SceneVerdicts:
        return SceneVerdicts(look(picture))


SCENE: Final[Judge] = SceneJudge()


def _cell(pixels: float) -> int:
    return min(GRID - 1, max(0, int(pixels * GRID / PICTURE_SIZE)))


def _number(value: str | None, known: Sequence[str]) -> int:
    return known.index(value) + 1 if value in known else 0
