"""Which of several ways to serve are worth having: those that no other one beats in both quality and compute."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Way(Protocol):
    """A way to serve, as measured: seconds of compute a picture, and mean quality from 0 to 1."""

    @property
    def seconds(self) -> float: ...

    @property
    def quality(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class ModelAlone:
    """One model for every prompt."""

    name: str
    seconds: float
    quality: float


SomeWay = TypeVar("SomeWay", bound=Way)


def frontier(ways: Iterable[SomeWay]) -> list[SomeWay]:
    """Return the ways that no other one matches at the same compute or less, the cheapest first.

    Of equal ones the first one stays.
    """
    kept: list[SomeWay] = []
    for way in sorted(ways, key=lambda each: (each.seconds, -each.quality)):
        if not kept or way.quality > kept[-1].quality:
            kept.append(way)
    return kept
