"""The one small interface between the engine and a family of models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What one prompt tells the denoiser: `context` of shape (tokens, width), and how many tokens were words."""

    context: Tensor
    prompt_tokens: int


class Family(Protocol):
    """Text encoder, denoiser and decoder of one loaded model."""

    @property
    def name(self) -> str:
        """The family's name, such as `stable-diffusion`."""
        ...

    @property
    def scheduler_config(self) -> Mapping[str, Any]:
        """The diffusers scheduler config that the model was trained with."""
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

    def encode(self, prompts: Sequence[str]) -> list[Conditioning]:
        """Encode prompts in one batch."""
        ...

    def denoise(self, latents: Tensor, times: Tensor, contexts: Tensor) -> Tensor:
        """Return the raw prediction for (rows, channels, height, width) latents at (rows,) times."""
        ...

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        ...
