"""The Stable Diffusion 1.x and 2.x family: one CLIP text encoder, a UNet and a KL autoencoder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from safelight.core.errors import ModelFolderError
from safelight.core.model import Guidance
from safelight.core.pixels import Pixels
from safelight.diffusion.families.controlnet_base import ControlBase, pixel_hint, plain_config
from safelight.diffusion.families.defaults import Settings
from safelight.diffusion.families.family import Conditioning
from safelight.diffusion.families.parts import (
    TOKENIZERS,
    count_words,
    decode,
    downscale,
    encode,
    load_part,
    load_tokenizer,
    tokenize,
)
from safelight.diffusion.families.residuals import Residuals, unet_arguments
from safelight.diffusion.folder import explaining, read_index, read_json
from safelight.diffusion.placement import Placement
from safelight.diffusion.samplers.schedule import Schedule, diffusion_schedule

ALLOWED = {
    "unet": frozenset({"UNet2DConditionModel"}),
    "vae": frozenset({"AutoencoderKL"}),
    "text_encoder": frozenset({"CLIPTextModel"}),
    "tokenizer": TOKENIZERS,
}
PREDICTIONS = ("epsilon", "v_prediction", "sample")
DEFAULTS = Settings(steps=25, guidance_scale=7.5, sampler="dpm++2m")


class StableDiffusion:
    """One loaded Stable Diffusion model."""

    name = "stable-diffusion"
    pipeline = "StableDiffusionPipeline"

    def __init__(self, folder: Path, *, placement: Placement) -> None:
        read_index(folder, allowed=ALLOWED)
        self._placement = placement
        self._tokenizer = load_tokenizer(folder / "tokenizer")
        self._text_encoder = load_part(CLIPTextModel, folder / "text_encoder", placement=placement)
        self._unet = load_part(UNet2DConditionModel, folder / "unet", placement=placement)
        self._vae = load_part(AutoencoderKL, folder / "vae", placement=placement.in_single_precision)
        with explaining(folder / "scheduler"):
            scheduler = DDIMScheduler.from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
        self._scheduler_config: Mapping[str, Any] = dict(scheduler.config)
        self._predicts = self._scheduler_config["prediction_type"]
        if self._predicts not in PREDICTIONS:
            raise ModelFolderError(f"{str(folder)!r} predicts {self._predicts!r}; known are {', '.join(PREDICTIONS)}.")

    @property
    def guidance(self) -> Guidance:
        """How this model is guided."""
        return "classifier-free"

    @property
    def defaults(self) -> Settings:
        """What a silent request gets where the folder does not say."""
        return DEFAULTS

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What LoRAs may change, under diffusers' names, the denoiser first."""
        return {"unet": self._unet, "text_encoder": self._text_encoder}

    @property
    def control_base(self) -> ControlBase:
        """What this model's ControlNets must know of it."""
        return ControlBase(
            controlnet="ControlNetModel", denoiser=plain_config(self._unet), pixels_per_place=downscale(self._vae)
        )

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels, that the model was trained at."""
        side = int(self._unet.config.sample_size) * downscale(self._vae)
        return side, side

    @property
    def size_multiple(self) -> int:
        """Latents must halve evenly at every level of the UNet."""
        return downscale(self._vae) * int(2 ** (len(self._unet.config.block_out_channels) - 1))

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, height, width) of the latents of a picture of this size in pixels."""
        pixels = downscale(self._vae)
        return int(self._unet.config.in_channels), height // pixels, width // pixels

    def schedule(self, *, sampler: str, steps: int, width: int, height: int) -> Schedule:
        """Return the noise levels that diffusers would use for a picture of this size in pixels."""
        return diffusion_schedule(self._scheduler_config, sampler=sampler, steps=steps)

    def encode(self, prompts: Sequence[str | None]) -> list[Conditioning]:
        """Encode prompts in one batch; None is what guidance steers away from where nobody said what."""
        tokens = tokenize(self._tokenizer, prompts)
        contexts = self._text_encoder(tokens.to(self._placement.device))[0]
        return [
            Conditioning(context=context, prompt_tokens=words)
            for context, words in zip(contexts, count_words(self._tokenizer, tokens), strict=True)
        ]

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the raw prediction for (rows, channels, height, width) latents at (rows,) times."""
        contexts = torch.stack([conditioning.context for conditioning in conditionings])
        prediction: Tensor = self._unet(
            latents, times, encoder_hidden_states=contexts, **unet_arguments(residuals), return_dict=False
        )[0]
        return prediction

    def control_hint(self, picture: Pixels) -> Tensor:
        """Return a control picture, of the size of the picture to paint, as this family's ControlNets read it."""
        return pixel_hint(picture).to(self._placement.device)

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        if self._predicts == "v_prediction":
            return alpha * latents - sigma * prediction
        if self._predicts == "epsilon":
            return (latents - sigma * prediction) / alpha
        return prediction

    def encode_picture(self, picture: Pixels, noise: Tensor) -> Tensor:
        """Return a picture's latents; `noise`, of their shape, chooses from the autoencoder's distribution."""
        return encode(self._vae, pixel_hint(picture), noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        return decode(self._vae, latents)
