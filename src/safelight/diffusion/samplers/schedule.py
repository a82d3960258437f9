"""Noise levels of a run."""

from dataclasses import dataclass

from torch import Tensor

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


def schedule_of_ratios(times: Tensor, ratios: Tensor) -> Schedule:
    """Return the schedule of a variance-preserving model from its noise-to-signal ratios, of shape (steps + 1,)."""
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


def schedule_of_flow(times: Tensor, sigmas: Tensor) -> Schedule:
    """Return the schedule of a flow from its sigmas, of shape (steps + 1,)."""
    sigmas = sigmas.float()
    return Schedule(
        first_scale=1.0,
        times=times.float(),
        alpha=1 - sigmas[:-1],
        sigma=sigmas[:-1],
        alpha_after=1 - sigmas[1:],
        sigma_after=sigmas[1:],
    )
