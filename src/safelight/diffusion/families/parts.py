"""The parts that a family is composed of: text encoder, denoiser, noise process and autoencoder.

A part computes, and keeps no state between calls. Pictures are `Pixels`; latents and what is computed from them are
tensors of shape (rows, channels, height, width).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from safelight.core.pixels import Pixels
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.samplers.sampler import Sampler
from safelight.diffusion.samplers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class TextFeatures:
    """What a text encoder computes for some prompts.

    Attributes:
        context: (prompts, tokens, width), what the denoiser's attention reads.
        pooled: (prompts, width), each prompt as one vector.
        words: for each prompt, how many of its tokens are words.
    """

    context: Tensor | None = None
    pooled: Tensor | None = None
    words: Sequence[int]


class TextEncoder(Protocol):
    """One text encoder, or several that are joined."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that LoRAs may change, under diffusers' names."""
        ...

    def encode(self, prompts: Sequence[str | None]) -> TextFeatures:
        """Encode prompts in one batch; None is the negative prompt of a request that has none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What the denoiser reads of one prompt.

    Attributes:
        context: (tokens, width), what attention reads.
        pooled: (width,), the prompt as one vector, for denoisers that read it.
        prompt_tokens: how many tokens are words.
    """

    context: Tensor
    pooled: Tensor | None = None
    prompt_tokens: int


@dataclass(frozen=True, kw_only=True)
class ControlNetSupport:
    """How ControlNets work with a denoiser.

    Attributes:
        architecture: the diffusers class of its ControlNets.
        reads: whether they read control pictures as pixels or as latents.
        context_count: how many equal tokens the last token of a context stands for.
    """

    architecture: str
    reads: Literal["pixels", "latents"]
    context_count: int = 1


class Denoiser(Protocol):
    """The network that predicts noise, or a velocity."""

    @property
    def component(self) -> str:
        """Diffusers' name of the network: `unet` or `transformer`."""
        ...

    @property
    def network(self) -> Any:  # noqa: ANN401 - diffusers' network, untyped
        """The network itself; LoRAs may change it."""
        ...

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        ...

    @property
    def patch(self) -> int:
        """Both sides of the latents must be multiples of this; a transformer makes one token of such a square."""
        ...

    @property
    def native_side(self) -> int:
        """Height and width of the latents that the model was trained at."""
        ...

    @property
    def controlnets(self) -> ControlNetSupport | None:
        """How ControlNets work with it; None if there are none."""
        ...

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the raw prediction for latents at (rows,) times.

        `guidance`, of shape (rows,), is for models that read it themselves; `residuals` are added within.
        """
        ...


@runtime_checkable
class SizeMixing(Protocol):
    """A denoiser whose calls can have rows of several sizes."""

    @property
    def mixes_sizes(self) -> bool:
        """Whether this network can."""
        ...

    def denoise_mixed(
        self, groups: Sequence[Tensor], times: Tensor, conditionings: Sequence[Conditioning]
    ) -> list[Tensor]:
        """Return the raw prediction for each group of latents, which are of one size each.

        Times, of shape (all rows,), and conditionings are in the order of the groups. No row has LoRAs that are not
        folded, nor ControlNets.
        """
        ...


class NoiseProcess(Protocol):
    """How pictures and noise are mixed, and what a prediction means: a diffusion or a flow."""

    def schedule(self, sampler: Sampler, steps: int, *, tokens: int) -> Schedule:
        """Return the noise levels that diffusers would use for a picture of `tokens` patches."""
        ...

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        ...


class Autoencoder(Protocol):
    """From pictures to latents, scaled and shifted as the denoiser reads them, and back."""

    @property
    def downscale(self) -> int:
        """Width of one position of the latents, in pixels."""
        ...

    @property
    def latent_shift(self) -> float:
        """What is subtracted from scaled latents."""
        ...

    def encode(self, picture: Pixels, noise: Tensor) -> Tensor:
        """Return (channels, height, width) latents; `noise`, of their shape, samples the encoder's distribution."""
        ...

    def encode_mean(self, picture: Pixels) -> Tensor:
        """Return the mean of the encoder's distribution, (channels, height, width)."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        ...
