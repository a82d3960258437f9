"""The grids of noise levels of every sampler, judged by what must hold for any schedule."""

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from safelight.diffusion.samplers.registry import SAMPLERS
from safelight.diffusion.samplers.sampler import FlowConfig

DIFFUSION = dict(DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1).config)
FLOW = FlowConfig(scheduler=dict(FlowMatchEulerDiscreteScheduler(shift=3.0).config), tokens=64)
STEPS = (1, 2, 7, 30)


def diffusion(sampler, steps):
    return sampler.diffusion_grid(DIFFUSION, steps)


def flow(sampler, steps):
    return sampler.flow_grid(FLOW, steps)


every_grid = pytest.mark.parametrize("grid", [diffusion, flow], ids=lambda grid: grid.__name__)
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)


@every_grid
@every_sampler
@pytest.mark.parametrize("steps", STEPS)
def test_a_schedule_has_as_many_levels_as_steps(sampler, grid, steps):
    assert grid(sampler, steps).times.shape == (steps,)


@every_grid
@every_sampler
@pytest.mark.parametrize("steps", STEPS)
def test_noise_falls_at_every_step(sampler, grid, steps):
    schedule = grid(sampler, steps)
    assert (schedule.sigma_after < schedule.sigma).all()


@every_grid
@every_sampler
def test_a_step_begins_where_the_one_before_it_ends(sampler, grid):
    schedule = grid(sampler, 10)
    assert torch.allclose(schedule.sigma[1:], schedule.sigma_after[:-1])


@every_sampler
def test_a_diffusion_preserves_the_variance(sampler):
    schedule = diffusion(sampler, 10)
    assert torch.allclose(schedule.alpha.square() + schedule.sigma.square(), torch.ones(10))


@every_sampler
def test_shares_of_signal_and_noise_sum_to_one_in_a_flow(sampler):
    schedule = flow(sampler, 10)
    assert torch.allclose(schedule.alpha + schedule.sigma, torch.ones(10))
