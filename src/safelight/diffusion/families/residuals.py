"""What ControlNets add to a denoiser's activations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """What is added within one denoiser call, each tensor for all rows of the call.

    Attributes:
        early: on a UNet's way down; after the blocks of an SD3 transformer; after FLUX's double blocks.
        late: after a UNet's middle, one tensor; never for SD3; after FLUX's single blocks.
    """

    early: tuple[Tensor, ...]
    late: tuple[Tensor, ...] = ()

    @property
    def depth(self) -> tuple[int, int]:
        """How many places they are added at, early and late."""
        return len(self.early), len(self.late)

    def scattered(self, rows: Sequence[int], count: int) -> "Residuals":
        """Return them for a call of `count` rows of which these are `rows`; what one row has twice adds up."""
        if list(rows) == list(range(count)):
            return self
        return Residuals(
            early=tuple(_scatter(tensor, rows, count) for tensor in self.early),
            late=tuple(_scatter(tensor, rows, count) for tensor in self.late),
        )

    def __add__(self, other: "Residuals") -> "Residuals":
        return Residuals(early=_sum(self.early, other.early), late=_sum(self.late, other.late))


def unet_arguments(residuals: Residuals | None) -> dict[str, Any]:
    """Return what diffusers' UNets call these."""
    if residuals is None:
        return {}
    (middle,) = residuals.late
    return {"down_block_additional_residuals": residuals.early, "mid_block_additional_residual": middle}


def _scatter(tensor: Tensor, rows: Sequence[int], count: int) -> Tensor:
    places = torch.tensor(rows, device=tensor.device)
    return tensor.new_zeros(count, *tensor.shape[1:]).index_add_(0, places, tensor)


def _sum(mine: tuple[Tensor, ...], its: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if not (mine and its):
        return mine or its
    return tuple(one + other for one, other in zip(mine, its, strict=True))
