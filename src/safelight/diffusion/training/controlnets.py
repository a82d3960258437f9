"""Training a ControlNet (Zhang et al., ICCV 2023) that puts objects where a control picture has them."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import SD3ControlNetModel, SD3Transformer2DModel
from rich.progress import Progress
from torch import Tensor

from safelight.diffusion.training import nets
from safelight.diffusion.training.adapter_recipe import AdapterRecipe
from safelight.diffusion.training.base_model import BaseModel, count_zeros
from safelight.diffusion.training.data import make_scenes
from safelight.diffusion.training.denoisers import add_noise
from safelight.diffusion.training.fit import fit
from safelight.diffusion.training.loras import with_captions
from safelight.shapes.controls import CONTROLS

SCENES_SEED = 32


def make_controlnet(denoiser: SD3Transformer2DModel, *, layers: int) -> SD3ControlNetModel:
    """Return a ControlNet that adds zeros, its layers copied from the first ones of `denoiser`."""
    config = {name: value for name, value in denoiser.config.items() if not name.startswith("_")}
    net = SD3ControlNetModel.from_config(config | {"num_layers": layers, "extra_conditioning_channels": 0})
    for part in ("pos_embed", "time_text_embed", "context_embedder"):
        getattr(net, part).load_state_dict(getattr(denoiser, part).state_dict())
    for mine, its in zip(net.transformer_blocks, denoiser.transformer_blocks, strict=False):
        mine.load_state_dict(its.state_dict())
    count_zeros(net)
    return net


def train_controlnet(kind: str, base: BaseModel, recipe: AdapterRecipe, folder: Path, progress: Progress) -> Path:
    """Train or go on training the ControlNet for one of `CONTROLS` and return its folder in `folder`/adapters."""
    torch.manual_seed(recipe.control.seed)
    net = make_controlnet(base.denoiser, layers=recipe.control_layers).train()
    average = copy.deepcopy(net)
    scenes, pictures = make_scenes(recipe.control_scenes, seed=SCENES_SEED, processes=recipe.threads)
    controls = np.stack([CONTROLS[kind](scene) for scene in scenes])
    conditions = base.encode(torch.from_numpy(controls).permute(0, 3, 1, 2).contiguous())
    data = with_captions(scenes, torch.cat([base.encode(pictures), conditions], dim=1), base, recipe)

    def loss(_: int, generator: torch.Generator) -> Tensor:
        both, tokens = data.draw(recipe.control_batch, generator)
        latents, condition = both.chunk(2, dim=1)
        noisy = add_noise(latents, generator)
        velocity = base.velocity(noisy.latents, noisy.times, tokens, controlnet=net, condition=condition)
        return (velocity - noisy.velocity).square().mean()

    config = replace(recipe.control, name=kind)
    fit(net, average, loss, config, folder=folder, progress=progress, matrices=nets.hidden_matrices(net))
    written = folder / "adapters" / kind
    average.half().save_pretrained(written, safe_serialization=True)
    return written
