"""Finding the latents of pictures in a style: an autoencoder of plain scenes decodes more than it encodes."""

import torch
from torch import Tensor

from safelight.diffusion.training.adapter_recipe import AdapterRecipe
from safelight.diffusion.training.base_model import BaseModel
from safelight.diffusion.training.data import blur, to_signal

SHARPENED_AT_ONCE = 64


def sharpen(latents: Tensor, pictures: Tensor, base: BaseModel, recipe: AdapterRecipe) -> Tensor:
    """Return (rows, channels, 8, 8) latents moved to where they decode into (rows, 3, 64, 64) byte pictures.

    Adam moves them against the error of the picture, which weighs most where the picture differs from its blurred self.
    The weights of `base` stay as they are.
    """
    base.autoencoder.requires_grad_(requires_grad=False)
    parts = (torch.split(whole, SHARPENED_AT_ONCE) for whole in (latents, to_signal(pictures)))
    return torch.cat([_sharpen(start, wanted, base, recipe) for start, wanted in zip(*parts, strict=True)])


def _sharpen(start: Tensor, wanted: Tensor, base: BaseModel, recipe: AdapterRecipe) -> Tensor:
    found = start.clone().requires_grad_()
    weight = 1 + recipe.sharpen_edge_weight * (wanted - blur(wanted)).abs().amax(dim=1, keepdim=True)
    adam = torch.optim.Adam([found], lr=recipe.sharpen_rate)
    for _ in range(recipe.sharpen_steps):
        adam.zero_grad()
        error = base.decode(found) - wanted
        (weight * (error.abs() + 2 * error.square())).mean().backward()  # type: ignore[no-untyped-call]
        adam.step()
    return found.detach()
