"""A family of models: how it is recognised, and a loaded model of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import Tensor, nn

from safelight.core.model import Guidance
from safelight.core.pixels import Pixels
from safelight.diffusion.families.components import ModelFolder
from safelight.diffusion.families.controlnet_base import ControlNetBase, pixel_hint, plain_config
from safelight.diffusion.families.defaults import GenerationDefaults
from safelight.diffusion.families.parts import (
    Autoencoder,
    Conditioning,
    Denoiser,
    NoiseProcess,
    SizeMixing,
    TextEncoder,
)
from safelight.diffusion.families.processes import Flow
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.folder import read_index
from safelight.diffusion.placement import Placement
from safelight.diffusion.samplers.registry import samplers_by_name
from safelight.diffusion.samplers.schedule import Schedule


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """One loaded model, composed of its parts; computes, and keeps no state between calls.

    Attributes:
        guidance: how the model is guided.
        defaults: what a request gets that does not set it, where the folder does not state it.
    """

    text: TextEncoder
    denoiser: Denoiser
    process: NoiseProcess
    autoencoder: Autoencoder
    placement: Placement
    guidance: Guidance
    defaults: GenerationDefaults

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What LoRAs may change, under diffusers' names, the denoiser first."""
        return {self.denoiser.component: self.denoiser.network, **self.text.networks}

    @property
    def controlnet_base(self) -> ControlNetBase:
        """What this model's ControlNets must know of it."""
        support = self.denoiser.controlnets
        if support is None:
            return ControlNetBase(architecture=None, denoiser={}, downscale=self.autoencoder.downscale)
        return ControlNetBase(
            architecture=support.architecture,
            denoiser=plain_config(self.denoiser.network),
            downscale=self.autoencoder.downscale,
            latent_shift=self.autoencoder.latent_shift if support.reads == "latents" else 0.0,
            context_count=support.context_count,
        )

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels, that the model was trained at."""
        side = self.denoiser.native_side * self.autoencoder.downscale
        return side, side

    @property
    def size_multiple(self) -> int:
        """Both sides of a picture must be multiples of this many pixels."""
        return self.denoiser.patch * self.autoencoder.downscale

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, height, width) of the latents of a picture of this size in pixels."""
        pixels = self.autoencoder.downscale
        return self.denoiser.latent_channels, height // pixels, width // pixels

    def schedule(self, *, sampler: str, steps: int, width: int, height: int) -> Schedule:
        """Return the noise levels that diffusers would use for a picture of this size in pixels."""
        tokens = (width // self.size_multiple) * (height // self.size_multiple)
        return self.process.schedule(samplers_by_name()[sampler], steps, tokens=tokens)

    def encode(self, prompts: Sequence[str | None]) -> list[Conditioning]:
        """Encode prompts in one batch; None is the negative prompt of a request that has none."""
        features = self.text.encode(prompts)
        assert features.context is not None
        pooled = [None] * len(prompts) if features.pooled is None else features.pooled
        return [
            Conditioning(context=context, pooled=vector, prompt_tokens=words)
            for context, vector, words in zip(features.context, pooled, features.words, strict=True)
        ]

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
        return self.denoiser.denoise(latents, times, conditionings, guidance, residuals)

    @property
    def caches_steps(self) -> bool:
        """Whether steps may take over the prediction of earlier ones: where it changes evenly, as velocities do."""
        return isinstance(self.process, Flow)

    @property
    def mixes_sizes(self) -> bool:
        """Whether pictures of different sizes can share a denoiser call."""
        return isinstance(self.denoiser, SizeMixing) and self.denoiser.mixes_sizes

    def denoise_mixed(
        self, groups: Sequence[Tensor], times: Tensor, conditionings: Sequence[Conditioning]
    ) -> list[Tensor]:
        """Return the raw prediction for each group of latents of one size; see `SizeMixing`."""
        assert isinstance(self.denoiser, SizeMixing), "this family does not mix sizes"
        return self.denoiser.denoise_mixed(groups, times, conditionings)

    def controlnet_hint(self, picture: Pixels) -> Tensor:
        """Return a control picture, of the size of the picture to paint, as this family's ControlNets read it."""
        support = self.denoiser.controlnets
        if support is not None and support.reads == "latents":
            return self.autoencoder.encode_mean(picture)
        return pixel_hint(picture).to(self.placement.device)

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        return self.process.estimate_x0(latents, prediction, alpha, sigma)

    def encode_picture(self, picture: Pixels, noise: Tensor) -> Tensor:
        """Return a picture's latents; `noise`, of their shape, samples the autoencoder's distribution."""
        return self.autoencoder.encode(picture, noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        return self.autoencoder.decode(latents)


@dataclass(frozen=True, kw_only=True, eq=False)
class FamilyDefinition:
    """How models of a family are recognised and composed.

    Attributes:
        name: such as `stable-diffusion`.
        pipeline: the diffusers pipeline that a model folder of this family names in `model_index.json`.
        classes: the classes that are accepted for each component of the folder; None is an absent component.
        compose: loads the parts from a folder whose components are of these classes; raises ModelFolderError.
    """

    name: str
    pipeline: str
    classes: Mapping[str, frozenset[str | None]]
    compose: Callable[[ModelFolder], Family]

    def load(self, folder: Path, *, placement: Placement) -> Family:
        """Load a model from a diffusers folder.

        Raises:
            ModelFolderError: if the folder is not a whole model of this family in safetensors.
        """
        index = read_index(folder, allowed=self.classes)
        return self.compose(ModelFolder(path=folder, index=index, placement=placement))
