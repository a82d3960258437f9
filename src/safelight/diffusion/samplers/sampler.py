"""What a sampler is: a pure function from one noise level to the next, and the grids of levels that it walks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from safelight.diffusion.samplers.levels import NoiseLevels, PreviousStep
from safelight.diffusion.samplers.schedule import Schedule

Step = Callable[[Tensor, Tensor, NoiseLevels, NoiseLevels, PreviousStep], Tensor]
"""`(latents, estimate of x0, levels now, levels next, previous step) -> latents at the next levels`.

Latents have shape (rows, channels, height, width), and each row is at a level of its own.
"""


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """What the grid of a flow depends on, besides the number of steps.

    Attributes:
        scheduler: the config of the model's FlowMatchEulerDiscreteScheduler.
        tokens: how many tokens the picture makes; dynamic shifting depends on it.
        starts_at_one: whether the Euler grid goes evenly from 1 to 1 / steps before it is shifted, as FLUX's does.
    """

    scheduler: Mapping[str, Any]
    tokens: int
    starts_at_one: bool = False


DiffusionGrid = Callable[[Mapping[str, Any], int], Schedule]
"""`(config of the model's scheduler, steps) -> schedule` on a variance-preserving model."""

FlowGrid = Callable[[FlowConfig, int], Schedule]
"""`(config, steps) -> schedule` on a flow."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler under its served name.

    Attributes:
        order: of convergence, in the largest step; the tests measure it.
        step: works on any family.
        diffusion_grid: lays the noise levels for a variance-preserving model, as diffusers does.
        flow_grid: likewise for a flow.
    """

    name: str
    order: int
    step: Step
    diffusion_grid: DiffusionGrid
    flow_grid: FlowGrid
