"""What ControlNets must know of their model, and control pictures as they read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from safelight.core.pixels import Pixels


@dataclass(frozen=True, kw_only=True)
class ControlNetBase:
    """What a ControlNet must know of its model; plain data that can be sent to another process.

    Attributes:
        architecture: the diffusers class of its ControlNets; None if there are none.
        denoiser: the denoiser's diffusers config.
        downscale: width of one position of the latents, in pixels.
        latent_shift: what its latents lie below those of an autoencoder without a shift factor.
        context_count: how many equal tokens the last token of a context stands for.
    """

    architecture: str | None
    denoiser: Mapping[str, Any]
    downscale: int
    latent_shift: float = 0.0
    context_count: int = 1


def plain_config(network: Any) -> dict[str, Any]:  # noqa: ANN401 - diffusers' networks are untyped
    """Return a network's config without the entries that diffusers keeps for itself."""
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def pixel_hint(picture: Pixels) -> Tensor:
    """Return a picture as (3, height, width) numbers in [0, 1]."""
    pixels = torch.frombuffer(bytearray(picture.rgb), dtype=torch.uint8).view(picture.height, picture.width, 3)
    return pixels.permute(2, 0, 1) / 255
