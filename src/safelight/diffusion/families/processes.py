"""Noise processes: variance-preserving diffusion and flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from safelight.core.errors import ModelFolderError
from safelight.diffusion.families.components import ModelFolder
from safelight.diffusion.samplers.sampler import FlowConfig, Sampler
from safelight.diffusion.samplers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Diffusion:
    """A variance-preserving diffusion: alpha^2 + sigma^2 = 1.

    `scheduler` is a DDIMScheduler's config; its `prediction_type` says what the denoiser predicts.
    """

    scheduler: Mapping[str, Any]

    @classmethod
    def load(cls, folder: ModelFolder, *, predictions: tuple[str, ...]) -> "Diffusion":
        """Read the scheduler of a model folder.

        Raises:
            ModelFolderError: if it is missing, or the model predicts none of `predictions`.
        """
        scheduler = folder.scheduler_config(DDIMScheduler)
        predicts = scheduler["prediction_type"]
        if predicts not in predictions:
            raise ModelFolderError(f"{str(folder.path)!r} predicts {predicts!r}; known are {', '.join(predictions)}.")
        return cls(scheduler=scheduler)

    def schedule(self, sampler: Sampler, steps: int, *, tokens: int) -> Schedule:
        """Return the noise levels that diffusers would use, whatever the size of the picture."""
        return sampler.diffusion_grid(self.scheduler, steps)

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        match self.scheduler["prediction_type"]:
            case "v_prediction":
                return alpha * latents - sigma * prediction
            case "epsilon":
                return (latents - sigma * prediction) / alpha
            case _:
                return prediction


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A rectified flow, alpha + sigma = 1, whose denoiser predicts the velocity.

    `scheduler` is a FlowMatchEulerDiscreteScheduler's config; `starts_at_one` as in `FlowConfig`.
    """

    scheduler: Mapping[str, Any]
    starts_at_one: bool = False

    @classmethod
    def load(cls, folder: ModelFolder, *, starts_at_one: bool = False) -> "Flow":
        """Read the scheduler of a model folder; raises ModelFolderError."""
        return cls(scheduler=folder.scheduler_config(FlowMatchEulerDiscreteScheduler), starts_at_one=starts_at_one)

    def schedule(self, sampler: Sampler, steps: int, *, tokens: int) -> Schedule:
        """Return the noise levels that diffusers would use for a picture of `tokens` patches."""
        flow = FlowConfig(scheduler=self.scheduler, tokens=tokens, starts_at_one=self.starts_at_one)
        return sampler.flow_grid(flow, steps)

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a velocity stands for."""
        return latents - sigma * prediction
