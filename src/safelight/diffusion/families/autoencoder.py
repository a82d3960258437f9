"""The KL autoencoder that all four families use."""

from typing import Any

import torch
from torch import Tensor

from safelight.core.pixels import Pixels
from safelight.diffusion.families.controlnet_base import pixel_hint


class KLAutoencoder:
    """diffusers' AutoencoderKL; it computes in the precision that it was loaded in."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401 - diffusers' network, untyped
        self._network = network

    @property
    def downscale(self) -> int:
        """Width of one position of the latents, in pixels."""
        return int(2 ** (len(self._network.config.block_out_channels) - 1))

    @property
    def latent_shift(self) -> float:
        """What is subtracted from scaled latents."""
        return float(self._network.config.scaling_factor * (self._network.config.shift_factor or 0.0))

    def encode(self, picture: Pixels, noise: Tensor) -> Tensor:
        """Return (channels, height, width) latents; `noise`, of their shape, samples the encoder's distribution."""
        config = self._network.config
        signal = (2 * pixel_hint(picture) - 1).unsqueeze(0).to(self._network.device)
        distribution = self._network.encode(signal).latent_dist
        latents: Tensor = distribution.mean[0] + distribution.std[0] * noise.to(self._network.device)
        return (latents - (config.shift_factor or 0.0)) * config.scaling_factor

    def encode_mean(self, picture: Pixels) -> Tensor:
        """Return the mean of the encoder's distribution, (channels, height, width)."""
        signal = (2 * pixel_hint(picture) - 1).to(self._network.device)
        latents: Tensor = self._network.encode(signal.unsqueeze(0)).latent_dist.mean[0]
        return latents * self._network.config.scaling_factor - self.latent_shift

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures as (rows, height, width, 3) bytes."""
        config = self._network.config
        scaled = latents.to(self._network.device) / config.scaling_factor + (config.shift_factor or 0.0)
        signal = self._network.decode(scaled, return_dict=False)[0]
        return (signal / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
