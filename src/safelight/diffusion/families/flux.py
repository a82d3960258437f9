"""The FLUX.1 family: CLIP for one vector, T5 for the text, a transformer over latents packed two by two.

It is trained as a flow.
`dev` reads the strength of guidance as a number; `schnell` takes none.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModel, T5EncoderModel

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
from safelight.diffusion.folder import explaining, read_index, read_json
from safelight.diffusion.placement import Placement
from safelight.diffusion.samplers.schedule import Schedule, flow_schedule

ALLOWED = {
    "transformer": frozenset({"FluxTransformer2DModel"}),
    "vae": frozenset({"AutoencoderKL"}),
    "text_encoder": frozenset({"CLIPTextModel"}),
    "text_encoder_2": frozenset({"T5EncoderModel"}),
    "tokenizer": TOKENIZERS,
    "tokenizer_2": T5_TOKENIZERS,
    "scheduler": frozenset({"FlowMatchEulerDiscreteScheduler"}),
}
DEV = Settings(steps=28, guidance_scale=3.5, sampler="euler")
SCHNELL = Settings(steps=4, guidance_scale=0.0, sampler="euler")
T5_TOKENS = 512
NATIVE_PLACES = 128
"""Places of the latents along each side at the size that diffusers paints by default; configs do not say."""
PATCH = 2
THOUSAND = 1000
"""The transformer's time runs from 0 to 1, a schedule's to 1000."""


class Flux:
    """One loaded FLUX.1 model."""

    name = "flux"
    pipeline = "FluxPipeline"

    def __init__(self, folder: Path, *, placement: Placement) -> None:
        read_index(folder, allowed=ALLOWED)
        self._placement = placement
        self._tokenizer, self._tokenizer_2 = (load_tokenizer(folder / part) for part in ("tokenizer", "tokenizer_2"))
        self._text_encoder = load_part(CLIPTextModel, folder / "text_encoder", placement=placement)
        self._text_encoder_2 = load_part(T5EncoderModel, folder / "text_encoder_2", placement=placement)
        self._transformer = load_part(FluxTransformer2DModel, folder / "transformer", placement=placement)
        self._vae = load_part(AutoencoderKL, folder / "vae", placement=placement.in_single_precision)
        with explaining(folder / "scheduler"):
            scheduler = FlowMatchEulerDiscreteScheduler.from_config(
                read_json(folder / "scheduler" / "scheduler_config.json")
            )
        self._scheduler_config: Mapping[str, Any] = dict(scheduler.config)

    @property
    def guidance(self) -> Guidance:
        """How this model is guided."""
        return "embedded" if self._transformer.config.guidance_embeds else "none"

    @property
    def defaults(self) -> Settings:
        """What a silent request gets where the folder does not say."""
        return DEV if self._transformer.config.guidance_embeds else SCHNELL

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What LoRAs may change, under diffusers' names, the denoiser first."""
        return {"transformer": self._transformer, "text_encoder": self._text_encoder}

    @property
    def control_base(self) -> ControlBase:
        """What this model's ControlNets must know of it."""
        return ControlBase(
            controlnet="FluxControlNetModel",
            denoiser=plain_config(self._transformer),
            pixels_per_place=downscale(self._vae),
            latent_shift=latent_shift(self._vae),
        )

    @property
    def native_size(self) -> tuple[int, int]:
        """Width and height, in pixels, that the model was trained at."""
        side = NATIVE_PLACES * downscale(self._vae)
        return side, side

    @property
    def size_multiple(self) -> int:
        """Latents must divide evenly into patches."""
        return downscale(self._vae) * PATCH

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, height, width) of the latents of a picture of this size in pixels."""
        pixels = downscale(self._vae)
        return int(self._transformer.config.in_channels) // PATCH**2, height // pixels, width // pixels

    def schedule(self, *, sampler: str, steps: int, width: int, height: int) -> Schedule:
        """Return the noise levels that diffusers would use for a picture of this size in pixels."""
        tokens = (width // self.size_multiple) * (height // self.size_multiple)
        return flow_schedule(self._scheduler_config, sampler=sampler, steps=steps, tokens=tokens, is_from_one=True)

    def encode(self, prompts: Sequence[str | None]) -> list[Conditioning]:
        """Encode prompts in one batch; None is what guidance steers away from where nobody said what."""
        tokens = tokenize(self._tokenizer, prompts)
        pooled = self._text_encoder(tokens.to(self._placement.device)).pooler_output
        contexts = self._text_encoder_2(tokenize(self._tokenizer_2, prompts, T5_TOKENS).to(self._placement.device))[0]
        return [
            Conditioning(context=context, pooled=vector, prompt_tokens=count)
            for context, vector, count in zip(contexts, pooled, count_words(self._tokenizer, tokens), strict=True)
        ]

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the velocity for (rows, channels, height, width) latents at (rows,) times."""
        rows, columns = latents.shape[-2] // PATCH, latents.shape[-1] // PATCH
        contexts = torch.stack([conditioning.context for conditioning in conditionings])
        pooled = torch.stack([one.pooled for one in conditionings if one.pooled is not None])
        prediction: Tensor = self._transformer(
            **arguments(latents, times, contexts, pooled),
            guidance=guidance if self.guidance == "embedded" else None,
            controlnet_block_samples=(residuals.early if residuals else None) or None,
            controlnet_single_block_samples=(residuals.late if residuals else None) or None,
            return_dict=False,
        )[0]
        return F.pixel_shuffle(prediction.transpose(1, 2).reshape(len(latents), -1, rows, columns), PATCH)

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


def arguments(latents: Tensor, times: Tensor, contexts: Tensor, pooled: Tensor | None) -> dict[str, Tensor | None]:
    """Return what networks of this family read, for (rows, channels, height, width) latents at (rows,) times."""
    rows, columns = latents.shape[-2] // PATCH, latents.shape[-1] // PATCH
    return {
        "hidden_states": pack(latents),
        "encoder_hidden_states": contexts,
        "pooled_projections": pooled,
        "timestep": times / THOUSAND,
        "img_ids": _places(rows, columns, latents),
        "txt_ids": latents.new_zeros(contexts.shape[1], 3),
    }


def pack(latents: Tensor) -> Tensor:
    """Return (rows, channels, height, width) latents as (rows, patches, values)."""
    return F.pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


def _places(rows: int, columns: int, like: Tensor) -> Tensor:
    """Return (rows * columns, 3) numbers: nothing, row and column of each patch."""
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([torch.zeros_like(down), down, across], dim=-1).flatten(0, 1).to(like)
