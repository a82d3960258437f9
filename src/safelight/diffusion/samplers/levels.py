"""Noise levels of latents, and what a sampler knows of the step before.

A noisy latent is `alpha * x0 + sigma * noise`. A variance-preserving model has alpha^2 + sigma^2 = 1, a flow has
alpha + sigma = 1.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class NoiseLevels:
    """Signal and noise shares of each row, both of shape (rows, 1, 1, 1)."""

    alpha: Tensor
    sigma: Tensor

    @property
    def ratio(self) -> Tensor:
        """Noise over signal: the noise level on which samplers agree whatever the family."""
        return self.sigma / self.alpha


@dataclass(frozen=True, kw_only=True)
class PreviousStep:
    """The estimate of x0 and the noise levels of the step before; rows on their first step repeat the present ones."""

    x0: Tensor
    levels: NoiseLevels
