"""Euler steps along the noise ratio, a sampler of first order (Karras et al., 2022)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diffusers import EulerDiscreteScheduler

from safelight.diffusion.samplers.ddim import ddim_step
from safelight.diffusion.samplers.grids import flow_euler_grid
from safelight.diffusion.samplers.sampler import Sampler
from safelight.diffusion.samplers.schedule import Schedule, schedule_of_ratios


def _diffusion_grid(config: Mapping[str, Any], steps: int) -> Schedule:
    grid: Any = EulerDiscreteScheduler.from_config(dict(config))
    grid.set_timesteps(steps)
    schedule = schedule_of_ratios(grid.timesteps, grid.sigmas)
    # diffusers' latents are larger by 1 / alpha, and so is what it calls the initial noise.
    return replace(schedule, first_scale=float(grid.init_noise_sigma * schedule.alpha[0]))


EULER = Sampler(name="euler", order=1, step=ddim_step, diffusion_grid=_diffusion_grid, flow_grid=flow_euler_grid)
