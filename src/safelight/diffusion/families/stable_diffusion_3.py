"""The Stable Diffusion 3 family: two CLIP text encoders, a joint transformer trained as a flow, a KL autoencoder.

The embedded `shapes` models are of this family.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, T5EncoderModel

from safelight.core.model import Guidance
from safelight.core.pixels import Pixels
from safelight.diffusion.families.controlnet_base import (
    ControlBase,
    latent_hint,
    latent_shift,
    pixel_hint,
    plain_config,
)
from safelight.diffusion.families.defaults import Settings
from safelight.diffusion.families.family import Conditioning
from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.parts import (
    T5_TOKENIZERS,
    TOKENIZERS,
    count_words,
    decode,
    downscale,
    encode,
    load_part,
    load_tokenizer,
    tokenize,
)
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.folder import class_in, explaining, has_numbers, read_index, read_json
from safelight.diffusion.placement import Placement
from safelight.diffusion.samplers.schedule import Schedule, flow_schedule

ALLOWED = {
    "transformer": frozenset({"SD3Transformer2DModel"}),
    "vae": frozenset({"AutoencoderKL"}),
    "text_encoder": frozenset({"CLIPTextModelWithProjection"}),
    "text_encoder_2": frozenset({"CLIPTextModelWithProjection"}),
    "text_encoder_3": frozenset({"T5EncoderModel", None}),
    "tokenizer": TOKENIZERS,
    "tokenizer_2": TOKENIZERS,
    "tokenizer_3": T5_TOKENIZERS | {None},
    "scheduler": frozenset({"FlowMatchEulerDiscreteScheduler"}),
}
T5_TOKENS = 256
"""Tokens of a prompt as T5 reads it; without T5, diffusers puts so many tokens of zeros in their place."""

T5_LAST_NORM = "encoder.final_layer_norm.weight"

DEFAULTS = Settings(steps=28, guidance_scale=5.0, sampler="dpm++2m")


class StableDiffusion3:
    """One loaded Stable Diffusion 3 or 3.5 model, with or without its T5 encoder."""

    name = "stable-diffusion-3"
    pipeline = "StableDiffusion3Pipeline"

    def __init__(self, folder: Path, *, placement: Placement) -> None:
        index = read_index(folder, allowed=ALLOWED)
        self._placement = placement
        self._tokenizers = [load_tokenizer(folder / part) for part in ("tokenizer", "tokenizer_2")]
        self._text_encoder, self._text_encoder_2 = (
            load_part(CLIPTextModelWithProjection, folder / part, placement=placement)
            for part in ("text_encoder", "text_encoder_2")
        )
        self._transformer = load_part(SD3Transformer2DModel, folder / "transformer", placement=placement)
        # One that answers zeros, as the shipped models have for stock pipelines' sake, is as good as none.
        t5 = folder / "text_encoder_3"
        self._has_t5 = class_in(index, "text_encoder_3") is not None and has_numbers(t5, T5_LAST_NORM)
        if self._has_t5:
            self._tokenizer_3 = load_tokenizer(folder / "tokenizer_3")
            self._text_encoder_3 = load_part(T5EncoderModel, t5, placement=placement)
        if not self._has_t5:
            for block in self._transformer.transformer_blocks:
                block.attn.set_processor(CountedJointAttention(T5_TOKENS))
        self._vae = load_part(AutoencoderKL, folder / "vae", placement=placement.in_single_precision)
        with explaining(folder / "scheduler"):
            scheduler = FlowMatchEulerDiscreteScheduler.from_config(
                read_json(folder / "scheduler" / "scheduler_config.json")
            )
        self._scheduler_config: Mapping[str, Any] = dict(scheduler.config)

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
        return {
            "transformer": self._transformer,
            "text_encoder": self._text_encoder,
            "text_encoder_2": self._text_encoder_2,
        }

    @property
    def control_base(self) -> ControlBase:
        """What this model's ControlNets must know of it."""
        return ControlBase(
            controlnet="SD3ControlNetModel",
            denoiser=plain_config(self._transformer),
            pixels_per_place=downscale(self._vae),
            latent_shift=latent_shift(self._vae),
            context_count=1 if self._has_t5 else T5_TOKENS,
        )

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels, that the model was trained at."""
        side = int(self._transformer.config.sample_size) * downscale(self._vae)
        return side, side

    @property
    def size_multiple(self) -> int:
        """Latents must divide evenly into patches."""
        return downscale(self._vae) * int(self._transformer.config.patch_size)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, height, width) of the latents of a picture of this size in pixels."""
        pixels = downscale(self._vae)
        return int(self._transformer.config.in_channels), height // pixels, width // pixels

    def schedule(self, *, sampler: str, steps: int, width: int, height: int) -> Schedule:
        """Return the noise levels that diffusers would use for a picture of this size in pixels."""
        _, rows, columns = self.latent_shape(width, height)
        patch = int(self._transformer.config.patch_size)
        tokens = (rows // patch) * (columns // patch)
        return flow_schedule(self._scheduler_config, sampler=sampler, steps=steps, tokens=tokens)

    def encode(self, prompts: Sequence[str | None]) -> list[Conditioning]:
        """Encode prompts in one batch; None is what guidance steers away from where nobody said what."""
        tokens = [tokenize(tokenizer, prompts) for tokenizer in self._tokenizers]
        contexts, pooled = encode_clips((self._text_encoder, self._text_encoder_2), tokens)
        contexts = F.pad(contexts, (0, int(self._transformer.config.joint_attention_dim) - contexts.shape[-1]))
        contexts = torch.cat([contexts, self._read_with_t5(prompts, contexts.shape[-1])], dim=1)
        words = count_words(self._tokenizers[0], tokens[0])
        return [
            Conditioning(context=context, pooled=vector, prompt_tokens=count)
            for context, vector, count in zip(contexts, pooled, words, strict=True)
        ]

    def _read_with_t5(self, prompts: Sequence[str | None], width: int) -> Tensor:
        if not self._has_t5:
            return torch.zeros(len(prompts), 1, width, device=self._placement.device, dtype=self._placement.dtype)
        tokens = tokenize(self._tokenizer_3, prompts, T5_TOKENS)
        return self._text_encoder_3(tokens.to(self._placement.device))[0]

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the velocity for (rows, channels, height, width) latents at (rows,) times."""
        prediction: Tensor = self._transformer(
            latents,
            encoder_hidden_states=torch.stack([conditioning.context for conditioning in conditionings]),
            pooled_projections=torch.stack([one.pooled for one in conditionings if one.pooled is not None]),
            timestep=times,
            block_controlnet_hidden_states=None if residuals is None else residuals.early,
            return_dict=False,
        )[0]
        return prediction

    def control_hint(self, picture: Pixels) -> Tensor:
        """Return a control picture, of the size of the picture to paint, as this family's ControlNets read it."""
        return latent_hint(self._vae, picture)

    def estimate_x0(self, latents: Tensor, prediction: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return the clean latents that a velocity stands for."""
        return latents - sigma * prediction

    def encode_picture(self, picture: Pixels, noise: Tensor) -> Tensor:
        """Return a picture's latents; `noise`, of their shape, chooses from the autoencoder's distribution."""
        return encode(self._vae, pixel_hint(picture), noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        return decode(self._vae, latents)


def encode_clips(encoders: Sequence[Any], tokens: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return what CLIP encoders make of (prompts, tokens) numbers, side by side.

    The context has shape (prompts, tokens, width) and comes from the layer before the last, as in diffusers; the
    pooled vectors have shape (prompts, width).
    """
    outputs = [
        encoder(numbers.to(encoder.device), output_hidden_states=True)
        for encoder, numbers in zip(encoders, tokens, strict=True)
    ]
    contexts = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
    return contexts, torch.cat([output.text_embeds for output in outputs], dim=-1)
