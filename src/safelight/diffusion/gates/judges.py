"""Judges: what says, in training and evaluation only, which pictures are good enough."""

from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from safelight.shapes.caption import parse
from safelight.shapes.looking import SceneSeen, look
from safelight.shapes.score import judge

Picture = NDArray[np.uint8]


class Verdicts(Protocol):
    """What a judge has seen of one picture."""

    def suits(self, prompt: str) -> bool:
        """Return whether the picture is good enough for `prompt`, which need not be the one that it was made for."""
        ...

    def value(self, prompt: str) -> float:
        """Return how well the picture follows `prompt`, from 0 to 1."""
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


class SceneJudge:
    """The scene score: for pictures of the embedded domain."""

    name: ClassVar[str] = "scene"

    def look(self, picture: Picture) -> SceneVerdicts:
        return SceneVerdicts(look(picture))


JUDGES: Final[Sequence[Judge]] = (SceneJudge(),)
