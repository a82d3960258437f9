"""Adapters: what they are, how requests name them, and how weights are named once a request is bound to them."""

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


class AdapterHandle(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """Names these very weights; an adapter that gets the same name later is of another generation."""

    name: str
    generation: int

    def __str__(self) -> str:
        return f"{self.name}@{self.generation}"


class LoraUse(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA that a request names, at a finite strength, which may be negative."""

    name: str
    scale: float


class ControlNetUse(msgspec.Struct, frozen=True, kw_only=True):
    """A ControlNet that a request names, at a finite strength, with the control picture in the size to be painted."""

    name: str
    scale: float
    image: Pixels


class AdapterUse(msgspec.Struct, frozen=True, kw_only=True):
    """Weights at a finite strength, which may be negative."""

    handle: AdapterHandle
    scale: float


class Composition(msgspec.Struct, frozen=True, cache_hash=True):
    """What some LoRAs come to together: each of them once, in order of handles, at a scale that is not 0.

    Made by `composition_of`, so that compositions of equal effect are equal. They add and subtract as the changes do
    that they make to the weights: `row - folded` is what a row still needs when `folded` is in the weights.
    """

    uses: tuple[AdapterUse, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.uses

    @property
    def handles(self) -> tuple[AdapterHandle, ...]:
        return tuple(use.handle for use in self.uses)

    def __add__(self, other: "Composition") -> "Composition":
        return composition_of((*self.uses, *other.uses))

    def __sub__(self, other: "Composition") -> "Composition":
        return composition_of((*self.uses, *(AdapterUse(handle=use.handle, scale=-use.scale) for use in other.uses)))


NO_ADAPTERS = Composition()


def composition_of(uses: Iterable[AdapterUse]) -> Composition:
    """Return what `uses` come to in any order: scales of one adapter add up, and what comes to 0 is left out."""
    scales = defaultdict[AdapterHandle, list[float]](list)
    for use in uses:
        scales[use.handle].append(use.scale)
    sums = {handle: fsum(parts) for handle, parts in sorted(scales.items())}
    return Composition(tuple(AdapterUse(handle=handle, scale=scale) for handle, scale in sums.items() if scale))
