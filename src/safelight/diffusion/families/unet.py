"""The UNet denoiser of Stable Diffusion and Stable Diffusion XL."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from safelight.diffusion.families.parts import Conditioning, ControlNetSupport
from safelight.diffusion.families.residuals import Residuals, unet_arguments


class UNetDenoiser:
    """diffusers' UNet2DConditionModel.

    One that is conditioned on the picture's size, as XL's is, gets it in pixels: `downscale` for each place of the
    latents.
    """

    component = "unet"
    controlnets = ControlNetSupport(architecture="ControlNetModel", reads="pixels")

    def __init__(self, network: Any, *, downscale: int) -> None:  # noqa: ANN401 - diffusers' network, untyped
        self.network = network
        self._downscale = downscale
        self._reads_size = network.config.addition_embed_type is not None

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return int(self.network.config.in_channels)

    @property
    def patch(self) -> int:
        """Latents must halve evenly at every level of the UNet."""
        return int(2 ** (len(self.network.config.block_out_channels) - 1))

    @property
    def native_side(self) -> int:
        """Height and width of the latents that the model was trained at."""
        return int(self.network.config.sample_size)

    def denoise(
        self,
        latents: Tensor,
        times: Tensor,
        conditionings: Sequence[Conditioning],
        guidance: Tensor,
        residuals: Residuals | None = None,
    ) -> Tensor:
        """Return the raw prediction for latents at (rows,) times."""
        added = None
        if self._reads_size:
            pooled = torch.stack([one.pooled for one in conditionings if one.pooled is not None])
            added = size_conditioning(latents, pooled, self._downscale)
        prediction: Tensor = self.network(
            latents,
            times,
            encoder_hidden_states=torch.stack([conditioning.context for conditioning in conditionings]),
            added_cond_kwargs=added,
            **unet_arguments(residuals),
            return_dict=False,
        )[0]
        return prediction


def size_conditioning(latents: Tensor, pooled: Tensor | None, downscale: int) -> dict[str, Tensor | None]:
    """Return what networks conditioned on size read besides the context, with (rows, width) pooled vectors."""
    height, width = (side * downscale for side in latents.shape[-2:])
    # Original size, corner of the crop, target size: diffusers' defaults.
    size = torch.tensor([height, width, 0, 0, height, width], dtype=latents.dtype, device=latents.device)
    return {"text_embeds": pooled, "time_ids": size.expand(len(latents), -1)}
