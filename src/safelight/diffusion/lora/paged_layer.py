"""The pages of one layer, and what those of a batch add to its output.

Each page is one rank of some adapter, as in S-LoRA (Sheng et al., MLSys 2024, sections 5 and 6), so that adapters of
all ranks share one memory and one computation.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safelight.diffusion.lora.terms import Factors, Terms
from safelight.diffusion.lora.weights import LowRank

Layer = nn.Linear | nn.Conv2d


class PagedLayer:
    """Pages beside a linear layer or an ungrouped convolution, in its dtype and on its device; page 0 stays zero.

    `down` has shape (1 + pages, in) or (1 + pages, in, height, width), `up` (1 + pages, out).
    """

    def __init__(self, layer: Layer, *, pages: int) -> None:
        self._layer = layer
        outputs, *inputs = layer.weight.shape
        self.down = layer.weight.new_zeros(1 + pages, *inputs)
        self.up = layer.weight.new_zeros(1 + pages, outputs)

    @property
    def weights_bytes(self) -> int:
        return sum(factor.numel() * factor.element_size() for factor in (self.down, self.up))

    def write(self, pages: Sequence[int], change: LowRank) -> None:
        """Put `change` into the first of `pages`, which are zero, with its scale in the up factor."""
        own = torch.tensor(pages[: change.rank], device=self.down.device)
        up = change.up.to(torch.promote_types(change.up.dtype, torch.float32)).flatten(1).T * change.scale
        self.down[own] = change.down.to(self.down)
        self.up[own] = up.to(self.up)

    def clear(self, pages: Sequence[int]) -> None:
        own = torch.tensor(pages, device=self.down.device)
        self.down[own] = 0
        self.up[own] = 0

    def add(self, x: Tensor, output: Tensor, terms: Terms) -> Tensor:
        """Return `output`, which the layer has made of `x`, with the terms of each row added, in place if possible."""
        assert len(x) == terms.batch_rows, f"a layer saw {len(x)} rows, the terms are those of {terms.batch_rows}"
        down, up = terms.gathered.get(self, partial(self._gather, terms))
        if terms.rows is None:
            left, right = self._product(x, down, up)
            flat = output.reshape(len(output), left.shape[1], right.shape[2])
            return flat.baddbmm_(left, right).view_as(output)
        left, right = self._product(x.index_select(0, terms.rows), down, up)
        return output.index_add_(0, terms.rows, torch.bmm(left, right).view(-1, *output.shape[1:]))

    def _gather(self, terms: Terms) -> Factors:
        index = terms.index.flatten()
        down = self.down.index_select(0, index).view(*terms.index.shape, *self.down.shape[1:])
        up = self.up.index_select(0, index).view(*terms.index.shape, -1)
        return down, (up * terms.scale.unsqueeze(-1)).to(up)

    def _product(self, x: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
        """Return two matrices for each row, whose product is what is to be added."""
        if isinstance(self._layer, nn.Linear):
            return torch.bmm(x.reshape(len(x), -1, x.shape[-1]), down.mT), up
        return up.mT, _convolve(self._layer, x, down)


def _convolve(layer: nn.Conv2d, x: Tensor, kernels: Tensor) -> Tensor:
    """Return (rows, ranks, places): each row of `x` under kernels (rows, ranks, in, height, width) of its own."""
    assert layer.padding_mode == "zeros", f"convolutions are padded with zeros, not {layer.padding_mode}"
    rows, ranks = kernels.shape[:2]
    thin = F.conv2d(
        x.reshape(1, -1, *x.shape[2:]),
        kernels.flatten(0, 1),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=rows,
    )
    return thin.view(rows, ranks, -1)
