"""Grids of noise levels that several samplers walk, laid by diffusers' schedulers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from diffusers import FlowMatchEulerDiscreteScheduler

from safelight.diffusion.samplers.sampler import FlowConfig
from safelight.diffusion.samplers.schedule import Schedule, schedule_of_flow, schedule_of_ratios


def grid_of_ratios(scheduler: Any, config: Mapping[str, Any], steps: int) -> Schedule:  # noqa: ANN401 - diffusers' class, untyped
    """Return the schedule of a diffusers scheduler whose sigmas are noise-to-signal ratios."""
    grid = scheduler.from_config(dict(config))
    grid.set_timesteps(steps)
    return schedule_of_ratios(grid.timesteps, grid.sigmas)


def flow_euler_grid(flow: FlowConfig, steps: int) -> Schedule:
    """Return the schedule of diffusers' Euler scheduler for flows."""
    grid: Any = FlowMatchEulerDiscreteScheduler.from_config(dict(flow.scheduler))
    sigmas = np.linspace(1, 1 / steps, steps) if flow.starts_at_one else None
    grid.set_timesteps(steps, sigmas=sigmas, mu=dynamic_shift(grid.config, flow.tokens))
    return schedule_of_flow(grid.timesteps, grid.sigmas)


def dynamic_shift(config: Mapping[str, Any], tokens: int) -> float:
    """Return the logarithm of a flow's shift for a number of tokens (Esser et al., 2024, section 5.3.2).

    It lies on the line through two numbers of tokens that the scheduler's config states.
    """
    slope = (config["max_shift"] - config["base_shift"]) / (config["max_image_seq_len"] - config["base_image_seq_len"])
    return float(config["base_shift"] + slope * (tokens - config["base_image_seq_len"]))
