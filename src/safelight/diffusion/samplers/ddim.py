"""DDIM without added noise, a sampler of first order (Song et al., 2021)."""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from safelight.diffusion.samplers.grids import flow_euler_grid
from safelight.diffusion.samplers.levels import NoiseLevels, PreviousStep
from safelight.diffusion.samplers.sampler import Sampler
from safelight.diffusion.samplers.schedule import Schedule


def ddim_step(latent: Tensor, x0: Tensor, now: NoiseLevels, after: NoiseLevels, previous: PreviousStep) -> Tensor:
    """Keep the estimated noise and the estimated picture, and mix them anew (Song et al., 2021, eq. 12, eta 0).

    This is also one Euler step along the noise ratio (Karras et al., 2022, alg. 1) and along a flow's time.
    """
    noise = (latent - now.alpha * x0) / now.sigma
    return after.alpha * x0 + after.sigma * noise


def _diffusion_grid(config: Mapping[str, Any], steps: int) -> Schedule:
    grid: Any = DDIMScheduler.from_config(dict(config))
    grid.set_timesteps(steps)
    product = grid.alphas_cumprod[grid.timesteps]
    times_after = grid.timesteps - grid.config.num_train_timesteps // steps
    final = grid.final_alpha_cumprod.to(product)
    product_after = torch.where(times_after >= 0, grid.alphas_cumprod[times_after.clamp(min=0)], final)
    return Schedule(
        first_scale=1.0,
        times=grid.timesteps.float(),
        alpha=product.sqrt(),
        sigma=(1 - product).sqrt(),
        alpha_after=product_after.sqrt(),
        sigma_after=(1 - product_after).sqrt(),
    )


DDIM = Sampler(name="ddim", order=1, step=ddim_step, diffusion_grid=_diffusion_grid, flow_grid=flow_euler_grid)
