"""The one small interface between the engine and a family of models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from safelight.core.model import Guidance
from safelight.core.pixels import Pixels
from safelight.diffusion.families.controlnet_base import ControlBase
from safelight.diffusion.families.defaults import Settings
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.placement import Placement
from safelight.diffusion.samplers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What one prompt tells the denoiser.

    Attributes:
        context: (tokens, width), what attention reads.
        pooled: (width,), the prompt as one vector, for families that want it.
        prompt_tokens: how many tokens were words.
    """

    context: Tensor
    pooled: Tensor | None = None
    prompt_tokens: int


class Family(Protocol):
    """Text encoders, denoiser and decoder of one loaded model; computes, and remembers nothing between calls."""

    name: str
    """The family's name, such as `stable-diffusion`."""

    pipeline: str
    """The diffusers pipeline that a model folder of this family names."""

    def __init__(self, folder: Path, *, placement: Placement) -> None:
        """Load from a diffusers folder.

        Raises:
            ModelFolderError: if the folder is not a whole model of this family in safetensors.
        """
        ...

    @property
    def guidance(self) -> Guidance:
        """How this model is guided."""
        ...

    @property
    def defaults(self) -> Settings:
        """What a silent request gets where the folder does not say."""
        ...

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What LoRAs may change, under diffusers' names, the denoiser first."""
        ...

    @property
    def control_base(self) -> ControlBase:
        """What this model's ControlNets must know of it."""
        ...

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels, that the model was trained at."""
        ...

    @property
    def size_multiple(self) -> int:
        """Both sides of a picture must be multiples of this many pixels."""
        ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, height, width) of the latents of a picture of this size in pixels."""
        ...

    def schedule(self, *, sampler: str, steps: int, width: int, height: int) -> Schedule:
        """Return the noise levels that diffusers would use for a picture of this size in pixels."""
        ...

    def encode(self, prompts: Sequence[str | None]) -> list[Conditioning]:
        """Encode prompts in one batch; None is what guidance steers away from where nobody said what."""
        ...

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the raw prediction for (rows, channels, height, width) latents at (rows,) times.

        `guidance`, of shape (rows,), is for models that read it themselves; `residuals` are added within.
        """
        ...

    def control_hint(self, picture: Pixels) -> Tensor:
        """Return a control picture, of the size of the picture to paint, as this family's ControlNets read it."""
        ...

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        ...

    def encode_picture(self, picture: Pixels, noise: Tensor) -> Tensor:
        """Return a picture's latents; `noise`, of their shape, chooses from the autoencoder's distribution."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        ...
