"""What is put beside a model: adapters, and the LoRAs that one request asks for."""

from collections import defaultdict
from collections.abc import Iterable
from math import fsum
from typing import Literal

import msgspec

from safelight.core.pixels import Pixels

AdapterKind = Literal["lora", "controlnet"]


class AdapterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter: what it is, what it fits, and what it weighs.

    Attributes:
        name: as requests name it.
        model: the served model that it was made for.
        ranks: those that occur in it, ascending; none for a ControlNet.
        parts: of the model that it changes, in diffusers' names such as `unet` and `text_encoder`.
    """

    name: str
    kind: AdapterKind
    model: str
    weights_bytes: int
    ranks: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """The largest rank in it."""
        return max(self.ranks, default=0)

    @property
    def touches_text(self) -> bool:
        """Whether prompts are encoded differently with it."""
        return any(part.startswith("text_encoder") for part in self.parts)


class AdapterUse(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter at a finite strength, which may be negative."""

    name: str
    scale: float


class ControlUse(msgspec.Struct, frozen=True, kw_only=True):
    """A ControlNet at a finite strength, with the control picture in the size of the picture to be painted."""

    name: str
    scale: float
    image: Pixels


class Composition(msgspec.Struct, frozen=True, cache_hash=True):
    """What some LoRAs come to together: each of them once, by name, at a scale that is not 0.

    Made by `composition_of`, so that compositions of equal effect are equal. They add and subtract as the changes do
    that they make to the weights: `row - folded` is what a row still needs when `folded` is in the weights.
    """

    uses: tuple[AdapterUse, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.uses

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(use.name for use in self.uses)

    def __add__(self, other: "Composition") -> "Composition":
        return composition_of((*self.uses, *other.uses))

    def __sub__(self, other: "Composition") -> "Composition":
        return composition_of((*self.uses, *(AdapterUse(name=use.name, scale=-use.scale) for use in other.uses)))


NO_ADAPTERS = Composition()


def composition_of(uses: Iterable[AdapterUse]) -> Composition:
    """Return what `uses` come to in any order: scales of one adapter add up, and what comes to 0 is left out."""
    scales = defaultdict[str, list[float]](list)
    for use in uses:
        scales[use.name].append(use.scale)
    sums = {name: fsum(parts) for name, parts in sorted(scales.items())}
    return Composition(tuple(AdapterUse(name=name, scale=scale) for name, scale in sums.items() if scale))
