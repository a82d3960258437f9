"""The Stable Diffusion XL family: two CLIP text encoders, a UNet that is told the picture's size, a KL autoencoder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

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
    "text_encoder_2": frozenset({"CLIPTextModelWithProjection"}),
    "tokenizer": TOKENIZERS,
    "tokenizer_2": TOKENIZERS,
}
PREDICTIONS = ("epsilon", "v_prediction")
DEFAULTS = Settings(steps=30, guidance_scale=5.0, sampler="dpm++2m")


class StableDiffusionXL:
    """One loaded Stable Diffusion XL model."""

    name = "stable-diffusion-xl"
    pipeline = "StableDiffusionXLPipeline"

    def __init__(self, folder: Path, *, placement: Placement) -> None:
        index = read_index(folder, allowed=ALLOWED)
        self._zeroes_absent = bool(index.get("force_zeros_for_empty_prompt", True))
        self._placement = placement
        self._tokenizers = [load_tokenizer(folder / part) for part in ("tokenizer", "tokenizer_2")]
        self._text_encoder = load_part(CLIPTextModel, folder / "text_encoder", placement=placement)
        self._text_encoder_2 = load_part(CLIPTextModelWithProjection, folder / "text_encoder_2", placement=placement)
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
        return {"unet": self._unet, "text_encoder": self._text_encoder, "text_encoder_2": self._text_encoder_2}

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
        tokens = [tokenize(tokenizer, prompts) for tokenizer in self._tokenizers]
        first, second = (
            encoder(numbers.to(self._placement.device), output_hidden_states=True)
            for encoder, numbers in zip((self._text_encoder, self._text_encoder_2), tokens, strict=True)
        )
        contexts, pooled = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds
        if self._zeroes_absent:
            said = torch.tensor([prompt is not None for prompt in prompts], device=self._placement.device)
            contexts, pooled = contexts * said.view(-1, 1, 1), pooled * said.view(-1, 1)
        words = count_words(self._tokenizers[0], tokens[0])
        return [
            Conditioning(context=context, pooled=vector, prompt_tokens=count)
            for context, vector, count in zip(contexts, pooled, words, strict=True)
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
        pooled = torch.stack([one.pooled for one in conditionings if one.pooled is not None])
        prediction: Tensor = self._unet(
            latents,
            times,
            encoder_hidden_states=torch.stack([conditioning.context for conditioning in conditionings]),
            added_cond_kwargs=size_conditioning(latents, pooled, downscale(self._vae)),
            **unet_arguments(residuals),
            return_dict=False,
        )[0]
        return prediction

    def control_hint(self, picture: Pixels) -> Tensor:
        """Return a control picture, of the size of the picture to paint, as this family's ControlNets read it."""
        return pixel_hint(picture).to(self._placement.device)

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a prediction stands for."""
        if self._predicts == "v_prediction":
            return alpha * latents - sigma * prediction
        return (latents - sigma * prediction) / alpha

    def encode_picture(self, picture: Pixels, noise: Tensor) -> Tensor:
        """Return a picture's latents; `noise`, of their shape, chooses from the autoencoder's distribution."""
        return encode(self._vae, pixel_hint(picture), noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        return decode(self._vae, latents)


def size_conditioning(latents: Tensor, pooled: Tensor | None, pixels_per_place: int) -> dict[str, Tensor | None]:
    """Return what networks of this family are told besides the context, with (rows, width) pooled vectors."""
    height, width = (side * pixels_per_place for side in latents.shape[-2:])
    # Original size, corner of the crop, size aimed at: as diffusers says unless it is told otherwise.
    size = torch.tensor([height, width, 0, 0, height, width], dtype=latents.dtype, device=latents.device)
    return {"text_embeds": pooled, "time_ids": size.expand(len(latents), -1)}
