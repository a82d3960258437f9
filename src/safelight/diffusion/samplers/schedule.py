"""Noise levels of a run: diffusers' schedulers lay the grid, our samplers walk it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from torch import Tensor

_GRIDS: Mapping[str, Any] = MappingProxyType(
    {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler, "dpm++2m": DPMSolverMultistepScheduler}
)
"""The diffusers scheduler whose grid each sampler walks on a variance-preserving model."""


SAME_LEVEL = 1e-6
"""Levels that are closer than this are one."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The levels of one run, each of shape (steps,): the denoiser's time, and alpha and sigma before and after.

    A run starts from unit noise times `first_scale`.
    """

    first_scale: float
    times: Tensor
    alpha: Tensor
    sigma: Tensor
    alpha_after: Tensor
    sigma_after: Tensor

    def step_at(self, noise: float) -> int:
        """Return the first step that starts at a level of at most `noise`, a sigma; the last one if none does."""
        return min(int((self.sigma > noise + SAME_LEVEL).sum()), len(self.sigma) - 1)


def diffusion_schedule(config: Mapping[str, Any], *, sampler: str, steps: int) -> Schedule:
    """Return the schedule that diffusers would use on a variance-preserving model with this scheduler config."""
    grid = _GRIDS[sampler].from_config(dict(config))
    grid.set_timesteps(steps)
    if isinstance(grid, DDIMScheduler):
        return _from_products(grid, steps)
    levels = _from_ratios(grid.timesteps, grid.sigmas)
    if isinstance(grid, EulerDiscreteScheduler):
        # Its latents are larger by 1 / alpha, and so is what it calls the initial noise.
        return replace(levels, first_scale=float(grid.init_noise_sigma * levels.alpha[0]))
    return levels


def flow_schedule(
    config: Mapping[str, Any], *, sampler: str, steps: int, tokens: int, is_from_one: bool = False
) -> Schedule:
    """Return the schedule that diffusers would use on a flow with this scheduler config.

    `dpm++2m` has a grid of its own, the others walk the flow's Euler grid. Dynamic shifting goes by `tokens`, the
    number that the picture makes. FLUX starts its Euler grid from one and ends it at `1 / steps`, `is_from_one`.
    """
    grid: Any = FlowMatchEulerDiscreteScheduler.from_config(dict(config))
    mu = _dynamic_shift(grid.config, tokens)
    if sampler == "dpm++2m":
        shift = math.exp(mu) if grid.config.use_dynamic_shifting else grid.config.shift
        grid = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=shift)
        grid.set_timesteps(steps)
    else:
        grid.set_timesteps(steps, sigmas=np.linspace(1, 1 / steps, steps) if is_from_one else None, mu=mu)
    sigmas = grid.sigmas.float()
    return Schedule(
        first_scale=1.0,
        times=grid.timesteps.float(),
        alpha=1 - sigmas[:-1],
        sigma=sigmas[:-1],
        alpha_after=1 - sigmas[1:],
        sigma_after=sigmas[1:],
    )


def _dynamic_shift(config: Mapping[str, Any], tokens: int) -> float:
    """The logarithm of the shift, on the line through two numbers of tokens (Esser et al., 2024, section 5.3.2)."""
    slope = (config["max_shift"] - config["base_shift"]) / (config["max_image_seq_len"] - config["base_image_seq_len"])
    return float(config["base_shift"] + slope * (tokens - config["base_image_seq_len"]))


def _from_products(grid: DDIMScheduler, steps: int) -> Schedule:
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


def _from_ratios(times: Tensor, ratios: Tensor) -> Schedule:
    """Levels of a variance-preserving model from its noise-to-signal ratios of shape (steps + 1,)."""
    alpha = (1 + ratios.double().square()).rsqrt()
    sigma = ratios.double() * alpha
    return Schedule(
        first_scale=1.0,
        times=times.float(),
        alpha=alpha[:-1].float(),
        sigma=sigma[:-1].float(),
        alpha_after=alpha[1:].float(),
        sigma_after=sigma[1:].float(),
    )
