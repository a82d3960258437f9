"""What ControlNets need of the model that they steer: its facts, and control pictures in its terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from safelight.core.pixels import Pixels


@dataclass(frozen=True, kw_only=True)
class ControlBase:
    """What a ControlNet must know of its model; plain data, fit to be sent to another process.

    Attributes:
        controlnet: the diffusers class of its ControlNets.
        denoiser: the denoiser's diffusers config.
        pixels_per_place: how many pixels one place of the latents is wide.
        latent_shift: what its latents lie below those of an autoencoder without a shift factor.
        context_count: how many equal tokens the last token of a context stands for.
    """

    controlnet: str
    denoiser: Mapping[str, Any]
    pixels_per_place: int
    latent_shift: float = 0.0
    context_count: int = 1


def plain_config(network: Any) -> dict[str, Any]:  # noqa: ANN401 - diffusers' networks are untyped
    """Return a network's config without what diffusers notes about it."""
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def pixel_hint(picture: Pixels) -> Tensor:
    """Return a control picture as (3, height, width) numbers in [0, 1]."""
    pixels = torch.frombuffer(bytearray(picture.rgb), dtype=torch.uint8).view(picture.height, picture.width, 3)
    return pixels.permute(2, 0, 1) / 255


def latent_hint(autoencoder: AutoencoderKL, picture: Pixels) -> Tensor:
    """Return a control picture's latents, (channels, height, width), scaled and shifted as a denoiser's are.

    They are the mean of the distribution that diffusers draws them from, so that equal requests give equal pictures.
    """
    signal = (2 * pixel_hint(picture) - 1).to(autoencoder.device)
    latents: Tensor = autoencoder.encode(signal.unsqueeze(0)).latent_dist.mean[0]
    return latents * autoencoder.config.scaling_factor - latent_shift(autoencoder)


def latent_shift(autoencoder: AutoencoderKL) -> float:
    """Return what is taken from scaled latents to make them a denoiser's."""
    return float(autoencoder.config.scaling_factor * (autoencoder.config.shift_factor or 0.0))
