"""Adapters, how requests name them, and the handles that name exact weights."""

from collections import defaultdict
from collections.abc import Iterable
from math import fsum
from typing import Literal

import msgspec

from safelight.core.pixels import Pixels

AdapterKind = Literal["lora", "controlnet"]


class AdapterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter: its kind, its model and its size.

    Attributes:
        name: as requests name it.
        model: the served model that it was made for.
        ranks: all ranks of its layers, ascending; none for a ControlNet.
        parts: the parts of the model that it changes, in diffusers' names such as `unet` and `text_encoder`.
    """

    name: str
    kind: AdapterKind
    model: str
    weights_bytes: int
    ranks: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """The largest rank of its layers."""
        return self.ranks[-1] if self.ranks else 0

    @property
    def touches_text(self) -> bool:
        """Whether it changes a text encoder."""
        return any(part.startswith("text_encoder") for part in self.parts)


class AdapterHandle(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """Names exact weights; an adapter that gets the same name later has another generation."""

    name: str
    generation: int

    def __str__(self) -> str:
        return f"{self.name}@{self.generation}"


class LoraUse(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA that a request names, at a finite scale, which may be negative."""

    name: str
    scale: float


class ControlNetUse(msgspec.Struct, frozen=True, kw_only=True):
    """A ControlNet that a request names, at a finite scale, with a control picture of the size of the output."""

    name: str
    scale: float
    image: Pixels


class AdapterUse(msgspec.Struct, frozen=True, kw_only=True):
    """Weights at a finite scale, which may be negative."""

    handle: AdapterHandle
    scale: float


class Composition(msgspec.Struct, frozen=True, cache_hash=True):
    """The sum of some LoRAs: each of them once, in order of handles, at a scale that is not 0.

    `composition_of` makes compositions, so that those of equal effect are equal. Compositions add and subtract like
    their changes to the weights: `row - folded` is what a row still needs when `folded` is in the weights.
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
    """Return the sum of `uses`, whatever their order: scales of one adapter add up, and a sum of 0 is left out."""
    each = tuple(uses)
    if len(each) == 1:
        return Composition(each if each[0].scale else ())
    scales = defaultdict[AdapterHandle, list[float]](list)
    for use in each:
        scales[use.handle].append(use.scale)
    sums = {handle: fsum(parts) for handle, parts in sorted(scales.items())}
    return Composition(tuple(AdapterUse(handle=handle, scale=scale) for handle, scale in sums.items() if scale))
