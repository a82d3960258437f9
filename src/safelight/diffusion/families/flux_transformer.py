"""The transformer of FLUX.1, over latents packed two by two."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from safelight.diffusion.families.parts import Conditioning, ControlNetSupport
from safelight.diffusion.families.residuals import Residuals

NATIVE_SIDE = 128
"""Side of the latents at the size that diffusers paints by default; configs do not state it."""

PATCH = 2
TIMES = 1000
"""The transformer's time goes from 0 to 1, a schedule's to 1000."""


class FluxDenoiser:
    """diffusers' FluxTransformer2DModel."""

    component = "transformer"
    controlnets = ControlNetSupport(architecture="FluxControlNetModel", reads="latents")
    patch = PATCH
    native_side = NATIVE_SIDE

    def __init__(self, network: Any) -> None:  # noqa: ANN401 - diffusers' network, untyped
        self.network = network

    @property
    def latent_channels(self) -> int:
        """Channels of the latents before they are packed."""
        return int(self.network.config.in_channels) // PATCH**2

    @property
    def reads_guidance(self) -> bool:
        """Whether the guidance scale is an input of the network."""
        return bool(self.network.config.guidance_embeds)

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the velocity for latents at (rows,) times."""
        rows, columns = latents.shape[-2] // PATCH, latents.shape[-1] // PATCH
        contexts = torch.stack([conditioning.context for conditioning in conditionings])
        pooled = torch.stack([one.pooled for one in conditionings if one.pooled is not None])
        prediction: Tensor = self.network(
            **flux_inputs(latents, times, contexts, pooled),
            guidance=guidance if self.reads_guidance else None,
            controlnet_block_samples=(residuals.early if residuals else None) or None,
            controlnet_single_block_samples=(residuals.late if residuals else None) or None,
            return_dict=False,
        )[0]
        return F.pixel_shuffle(prediction.transpose(1, 2).reshape(len(latents), -1, rows, columns), PATCH)


def flux_inputs(latents: Tensor, times: Tensor, contexts: Tensor, pooled: Tensor | None) -> dict[str, Tensor | None]:
    """Return the inputs of FLUX's networks, for (rows, channels, height, width) latents at (rows,) times."""
    rows, columns = latents.shape[-2] // PATCH, latents.shape[-1] // PATCH
    return {
        "hidden_states": pack(latents),
        "encoder_hidden_states": contexts,
        "pooled_projections": pooled,
        "timestep": times / TIMES,
        "img_ids": _patch_ids(rows, columns, latents),
        "txt_ids": latents.new_zeros(contexts.shape[1], 3),
    }


def pack(latents: Tensor) -> Tensor:
    """Return (rows, channels, height, width) latents as (rows, patches, values)."""
    return F.pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


def _patch_ids(rows: int, columns: int, like: Tensor) -> Tensor:
    """Return (rows * columns, 3) numbers: zero, row and column of each patch."""
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([torch.zeros_like(down), down, across], dim=-1).flatten(0, 1).to(like)
