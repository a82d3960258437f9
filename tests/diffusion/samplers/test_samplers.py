"""Samplers judged by theory: on Gaussian data the exact path is known."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from safelight.diffusion.samplers.ddim import DDIM
from safelight.diffusion.samplers.euler import EULER
from safelight.diffusion.samplers.levels import NoiseLevels, PreviousStep
from safelight.diffusion.samplers.registry import SAMPLERS
from safelight.diffusion.samplers.sampler import Sampler

MEAN, SPREAD = 0.7, 0.4
FIRST_RATIO, LAST_RATIO = 20.0, 0.05


def variance_preserving(ratio: Tensor) -> NoiseLevels:
    alpha = (1 + ratio**2).rsqrt()
    return NoiseLevels(alpha=alpha, sigma=ratio * alpha)


def flow(ratio: Tensor) -> NoiseLevels:
    return NoiseLevels(alpha=1 / (1 + ratio), sigma=ratio / (1 + ratio))


PATHS = (variance_preserving, flow)


def total_spread(levels: NoiseLevels) -> Tensor:
    return ((levels.alpha * SPREAD) ** 2 + levels.sigma**2).sqrt()


def best_estimate(latent: Tensor, levels: NoiseLevels) -> Tensor:
    gain = levels.alpha * SPREAD**2 / total_spread(levels) ** 2
    return MEAN + gain * (latent - levels.alpha * MEAN)


def exact(latent: Tensor, start: NoiseLevels, end: NoiseLevels) -> Tensor:
    return end.alpha * MEAN + total_spread(end) / total_spread(start) * (latent - start.alpha * MEAN)


def level(path, ratio: float) -> NoiseLevels:
    return path(torch.full((1, 1, 1, 1), ratio, dtype=torch.float64))


def walk(sampler: Sampler, path, steps: int) -> tuple[Tensor, Tensor]:
    """Return where the sampler ends and where it should."""
    ratios = torch.logspace(math.log10(FIRST_RATIO), math.log10(LAST_RATIO), steps + 1, dtype=torch.float64).tolist()
    levels = [level(path, ratio) for ratio in ratios]
    start = latent = torch.full((1, 1, 1, 1), 1.3, dtype=torch.float64)
    before = None
    for now, after in pairwise(levels):
        x0 = best_estimate(latent, now)
        latent = sampler.step(latent, x0, now, after, before or PreviousStep(x0=x0, levels=now))
        before = PreviousStep(x0=x0, levels=now)
    return latent, exact(start, levels[0], levels[-1])


def error(sampler: Sampler, path, steps: int) -> float:
    reached, wanted = walk(sampler, path, steps)
    return float((reached - wanted).abs().max())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_the_measured_order_of_convergence_is_the_declared_one(sampler, path):
    measured = math.log2(error(sampler, path, 200) / error(sampler, path, 400))
    assert measured == pytest.approx(sampler.order, abs=0.15)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_the_last_step_to_zero_noise_gives_the_estimate(sampler):
    latent, x0 = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    now = variance_preserving(torch.full((2, 1, 1, 1), 0.1))
    clean = NoiseLevels(alpha=torch.ones(2, 1, 1, 1), sigma=torch.zeros(2, 1, 1, 1))
    past = PreviousStep(x0=torch.randn(2, 3, 4, 4), levels=variance_preserving(torch.full((2, 1, 1, 1), 0.3)))
    assert torch.allclose(sampler.step(latent, x0, now, clean, past), x0, atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_rows_at_different_levels_step_as_they_would_alone(sampler):
    latent, x0, old = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    ratios = torch.tensor([9.0, 2.0, 0.4]).view(-1, 1, 1, 1)
    now, after, past = (variance_preserving(ratios * factor) for factor in (1.0, 0.5, 2.0))
    together = sampler.step(latent, x0, now, after, PreviousStep(x0=old, levels=past))

    def one(levels: NoiseLevels, row: int) -> NoiseLevels:
        return NoiseLevels(alpha=levels.alpha[row : row + 1], sigma=levels.sigma[row : row + 1])

    for row in range(3):
        part = slice(row, row + 1)
        alone = sampler.step(
            latent[part], x0[part], one(now, row), one(after, row), PreviousStep(x0=old[part], levels=one(past, row))
        )
        assert torch.allclose(together[part], alone, atol=1e-6)


def test_euler_and_ddim_agree_on_the_same_grid():
    ends = [walk(sampler, variance_preserving, 17)[0] for sampler in (DDIM, EULER)]
    assert torch.allclose(*ends, atol=1e-12)
