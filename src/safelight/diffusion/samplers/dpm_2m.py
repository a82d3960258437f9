"""DPM-Solver++(2M), a multistep sampler of second order (Lu et al., 2022)."""

import math
from functools import partial
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from safelight.diffusion.samplers.grids import dynamic_shift, grid_of_ratios
from safelight.diffusion.samplers.levels import NoiseLevels, PreviousStep
from safelight.diffusion.samplers.sampler import FlowConfig, Sampler
from safelight.diffusion.samplers.schedule import Schedule, schedule_of_flow


def dpm_2m_step(latent: Tensor, x0: Tensor, now: NoiseLevels, after: NoiseLevels, previous: PreviousStep) -> Tensor:
    """Extrapolate the estimate along the logarithm of signal to noise (Lu et al., 2022, alg. 2).

    The first step, and a last step to zero noise, are of first order.
    """
    shrink = after.ratio / now.ratio
    step = -torch.log(shrink)
    step_before = torch.log(previous.levels.ratio / now.ratio)
    can_extrapolate = torch.isfinite(step) & (step_before > 0)
    weight = torch.where(can_extrapolate, 0.5 * step / step_before, 0.0)
    extrapolated = x0 + weight * (x0 - previous.x0)
    return (after.sigma / now.sigma) * latent + after.alpha * (1 - shrink) * extrapolated


def _flow_grid(flow: FlowConfig, steps: int) -> Schedule:
    config = FlowMatchEulerDiscreteScheduler.from_config(dict(flow.scheduler)).config
    shift = math.exp(dynamic_shift(config, flow.tokens)) if config.use_dynamic_shifting else config.shift
    grid: Any = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=shift)
    grid.set_timesteps(steps)
    return schedule_of_flow(grid.timesteps, grid.sigmas)


DPM_2M = Sampler(
    name="dpm++2m",
    order=2,
    step=dpm_2m_step,
    diffusion_grid=partial(grid_of_ratios, DPMSolverMultistepScheduler),
    flow_grid=_flow_grid,
)
