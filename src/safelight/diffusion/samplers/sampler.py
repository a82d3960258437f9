"""Samplers: pure functions from one noise level to the next, each row at a level of its own.

A noisy latent is `alpha * x0 + sigma * noise`. Every function takes tensors of shape
(rows, channels, height, width) and levels of shape (rows, 1, 1, 1), and works for any family, since a
family only differs in how alpha and sigma fall (a variance-preserving model has alpha^2 + sigma^2 = 1, a
flow has alpha + sigma = 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Signal and noise shares of each row, both of shape (rows, 1, 1, 1)."""

    alpha: Tensor
    sigma: Tensor

    @property
    def ratio(self) -> Tensor:
        """Noise over signal: the noise level on which samplers agree whatever the family."""
        return self.sigma / self.alpha


@dataclass(frozen=True, kw_only=True)
class Before:
    """What a multistep sampler remembers of the step before; rows on their first step repeat the present."""

    x0: Tensor
    levels: Levels


Step = Callable[[Tensor, Tensor, Levels, Levels, Before], Tensor]
"""`(latent, estimate of x0, level now, level next, step before) -> latent at the next level`."""


def ddim(latent: Tensor, x0: Tensor, now: Levels, after: Levels, before: Before) -> Tensor:
    """Keep the estimated noise and the estimated picture, and mix them anew (Song et al., 2021, eq. 12, eta 0).

    This is also one Euler step along the noise ratio (Karras et al., 2022, alg. 1) and along a flow's time.
    """
    noise = (latent - now.alpha * x0) / now.sigma
    return after.alpha * x0 + after.sigma * noise


def dpm_2m(latent: Tensor, x0: Tensor, now: Levels, after: Levels, before: Before) -> Tensor:
    """DPM-Solver++(2M) (Lu et al., 2022, alg. 2): the estimate is extrapolated along log signal-to-noise.

    The first step, and a last step to zero noise, are of first order.
    """
    shrink = after.ratio / now.ratio
    step = -torch.log(shrink)
    step_before = torch.log(before.levels.ratio / now.ratio)
    can_extrapolate = torch.isfinite(step) & (step_before > 0)
    weight = torch.where(can_extrapolate, 0.5 * step / step_before, 0.0)
    extrapolated = x0 + weight * (x0 - before.x0)
    return (after.sigma / now.sigma) * latent + after.alpha * (1 - shrink) * extrapolated


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler under its served name, with its order of convergence in the largest step."""

    name: str
    order: int
    step: Step


SAMPLERS = (
    Sampler(name="ddim", order=1, step=ddim),
    Sampler(name="euler", order=1, step=ddim),
    Sampler(name="dpm++2m", order=2, step=dpm_2m),
)

SAMPLERS_BY_NAME = {sampler.name: sampler for sampler in SAMPLERS}
