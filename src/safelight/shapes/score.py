"""The scene score: which facts of a caption hold in a picture. It is for evaluation only, never for serving."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from safelight.shapes.looking import ObjectSeen, SceneSeen, look
from safelight.shapes.scene import ObjectDescription, SceneDescription

Cast = tuple[ObjectSeen | None, ...]
"""The seen object for each object of the caption; `None` if there is none."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One fact of a caption, for instance `object 1 colour`, and what the picture shows."""

    name: str
    wanted: str
    seen: str | None

    @property
    def holds(self) -> bool:
        """Whether the picture shows what the caption says."""
        return self.seen == self.wanted


@dataclass(frozen=True, kw_only=True)
class SceneScore:
    """All facts of a caption, compared with one picture."""

    facts: tuple[Fact, ...]

    @property
    def share(self) -> float:
        """Share of the facts that hold, in [0, 1]; 1 for a caption without facts."""
        return sum(fact.holds for fact in self.facts) / len(self.facts) if self.facts else 1.0

    @property
    def all_hold(self) -> bool:
        """Whether every fact holds."""
        return all(fact.holds for fact in self.facts)


def score(picture: NDArray[np.uint8], description: SceneDescription) -> SceneScore:
    """Score a `(height, width, 3)` picture, with sides of at least 64 pixels, by its caption.

    Raises:
        InvalidParameter: if it is not such a picture.
    """
    return judge(look(picture), description)


def judge(seen: SceneSeen, description: SceneDescription) -> SceneScore:
    """Compare what is seen with what was asked for, under the best assignment of objects.

    Only as many objects as the caption names are considered, the largest ones, so that a picture cannot gain facts by
    showing many things.
    """
    wanted = len(description.objects)
    players: Cast = (*seen.objects[:wanted], *[None] * (wanted - len(seen.objects)))
    scores = [SceneScore(facts=tuple(_facts(cast, seen, description))) for cast in permutations(players)]
    return max(scores, key=lambda one: one.share)


def _facts(cast: Cast, seen: SceneSeen, description: SceneDescription) -> Iterator[Fact]:
    for number, (player, role) in enumerate(zip(cast, description.objects, strict=True), start=1):
        yield from _object_facts(f"object {number}", player, role)
    if description.relation is not None:
        yield Fact(name="relation", wanted=description.relation, seen=_relation(cast, description.objects))
    if description.background is not None:
        yield Fact(name="background", wanted=description.background, seen=seen.background)


def _object_facts(name: str, player: ObjectSeen | None, role: ObjectDescription) -> Iterator[Fact]:
    yield Fact(name=f"{name} shape", wanted=role.shape, seen=player.shape if player else None)
    if role.colour is not None:
        yield Fact(name=f"{name} colour", wanted=role.colour, seen=player.colour if player else None)
    if role.size is not None:
        yield Fact(name=f"{name} size", wanted=role.size, seen=player.size if player else None)


def _relation(cast: Cast, roles: tuple[ObjectDescription, ...]) -> str | None:
    """Return the relation of the first object to the second; both must be recognisable by shape or colour."""
    match cast:
        case (ObjectSeen() as first, ObjectSeen() as second):
            pairs = zip((first, second), roles, strict=True)
            return _stands(first, second) if all(_is_recognisable(*pair) for pair in pairs) else None
        case _:
            return None


def _is_recognisable(player: ObjectSeen, role: ObjectDescription) -> bool:
    return player.shape == role.shape or (role.colour is not None and player.colour == role.colour)


def _stands(first: ObjectSeen, second: ObjectSeen) -> str:
    across, down = second.x - first.x, second.y - first.y
    if abs(across) >= abs(down):
        return "left of" if across > 0 else "right of"
    return "above" if down > 0 else "below"
