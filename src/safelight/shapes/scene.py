"""Scenes, and what a caption asks for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ObjectDescription:
    """One object of a caption; an attribute that the caption omits is `None`."""

    shape: str
    colour: str | None = None
    size: str | None = None


@dataclass(frozen=True, kw_only=True)
class SceneDescription:
    """What a caption asks for: up to two objects, their relation, and the ground."""

    objects: tuple[ObjectDescription, ...] = ()
    relation: str | None = None
    background: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlacedObject:
    """One object of a scene; `x` and `y` are its centre in pixels from the top left."""

    shape: str
    colour: str
    size: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A complete scene, ready to be rendered."""

    objects: tuple[PlacedObject, ...]
    background: str
    relation: str | None = None

    @property
    def description(self) -> SceneDescription:
        """The most that a caption can say about this scene."""
        return SceneDescription(
            objects=tuple(ObjectDescription(shape=o.shape, colour=o.colour, size=o.size) for o in self.objects),
            relation=self.relation,
            background=self.background,
        )
