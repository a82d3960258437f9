"""The canonical form of a LoRA (Hu et al., ICLR 2022, section 4.1): two thin factors for each layer it changes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

COMPONENTS = ("unet", "transformer", "text_encoder", "text_encoder_2")
"""The parts of a pipeline that a LoRA may change, in diffusers' names."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LowRank:
    """The change of one layer's weight: `scale` times the product of `up` and `down`.

    A linear layer has `down` (rank, in) and `up` (out, rank); a convolution has `down` (rank, in, height, width) and
    `up` (out, rank, 1, 1). `scale` is alpha over rank, or over its square root where the adapter was trained so.
    """

    down: Tensor
    up: Tensor
    scale: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def weights_bytes(self) -> int:
        return sum(factor.numel() * factor.element_size() for factor in (self.down, self.up))

    def delta(self) -> Tensor:
        """Return the change in the shape of the layer's weight, in float32 or better."""
        exact = torch.promote_types(self.down.dtype, torch.float32)
        product = self.up.to(exact).flatten(1) @ self.down.to(exact).flatten(1)
        return (product * self.scale).reshape(self.up.shape[0], *self.down.shape[1:])


@dataclass(frozen=True, kw_only=True, eq=False)
class LoraWeights:
    """What a LoRA changes, as component -> path of the module in it -> change, both in diffusers' names."""

    parts: Mapping[str, Mapping[str, LowRank]]

    @property
    def weights_bytes(self) -> int:
        return sum(change.weights_bytes for part in self.parts.values() for change in part.values())

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that occur, in ascending order."""
        return tuple(sorted({change.rank for part in self.parts.values() for change in part.values()}))
