"""Rows: pictures on their way, each at a step of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from safelight.core.adapter import NO_ADAPTERS, Composition
from safelight.core.job import Job
from safelight.diffusion.controlnets.batch import RowControlNet
from safelight.diffusion.families.parts import Conditioning
from safelight.diffusion.samplers.levels import NoiseLevels, PreviousStep
from safelight.diffusion.samplers.schedule import Schedule
from safelight.diffusion.starts import Kept
from safelight.diffusion.step_cache import StepCache


@dataclass
class Row:
    """One picture being denoised; `latent` and `x0` have shape (channels, height, width).

    `steps_done` counts from the schedule's beginning, also where a row starts later; `knew_prompt` says whether the
    prompt had been encoded before.
    """

    job: Job
    schedule: Schedule
    wanted: Conditioning
    unwanted: Conditioning | None
    latent: Tensor
    knew_prompt: bool = False
    loras: Composition = NO_ADAPTERS
    controls: tuple[RowControlNet, ...] = ()
    kept: Kept | None = None
    steps_done: int = 0
    cache: StepCache | None = None
    x0: Tensor | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the row has all its steps."""
        return self.steps_done == len(self.schedule.times)

    @property
    def noise(self) -> float:
        """The sigma of the level that the row stands at."""
        levels = self.schedule
        return float(levels.sigma_after[-1] if self.is_finished else levels.sigma[self.steps_done])

    @property
    def is_captured(self) -> bool:
        """Whether the estimate of its last step is one that its level captures."""
        step = self.steps_done - 1
        return any(self.schedule.step_at(noise) == step for noise in self.job.level.captures)


def levels_now(rows: Sequence[Row]) -> NoiseLevels:
    """Return the level that each row is at."""
    return _levels(
        [row.schedule.alpha[row.steps_done] for row in rows],
        [row.schedule.sigma[row.steps_done] for row in rows],
        rows[0].latent.device,
    )


def levels_after(rows: Sequence[Row]) -> NoiseLevels:
    """Return the level that each row is about to reach."""
    return _levels(
        [row.schedule.alpha_after[row.steps_done] for row in rows],
        [row.schedule.sigma_after[row.steps_done] for row in rows],
        rows[0].latent.device,
    )


def before(rows: Sequence[Row], x0: Tensor) -> PreviousStep:
    """Return each row's last estimate and its level; rows on their first step repeat `x0` and the level they are at."""
    last = [max(0, row.steps_done - 1) for row in rows]
    levels = _levels(
        [row.schedule.alpha[step] for row, step in zip(rows, last, strict=True)],
        [row.schedule.sigma[step] for row, step in zip(rows, last, strict=True)],
        x0.device,
    )
    estimates = [present if row.x0 is None else row.x0 for row, present in zip(rows, x0, strict=True)]
    return PreviousStep(x0=torch.stack(estimates), levels=levels)


def _levels(alpha: list[Tensor], sigma: list[Tensor], device: torch.device) -> NoiseLevels:
    both = torch.stack([torch.stack(alpha), torch.stack(sigma)]).to(device).view(2, -1, 1, 1, 1)
    return NoiseLevels(alpha=both[0], sigma=both[1])
