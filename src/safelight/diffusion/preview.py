"""A cheap preview: one linear map from latent channels to colours, fitted to the model's own decoder."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from safelight.core.pixels import Pixels
from safelight.diffusion.families.family import Family

SAMPLE_ROWS = 16
SEED = 0


@dataclass(frozen=True, kw_only=True)
class PreviewMap:
    """`weights` of shape (channels + 1, 3); the last row is the offset."""

    weights: Tensor

    def paint(self, x0: Tensor) -> Pixels:
        """Return latents of shape (channels, height, width) as a picture with a pixel for each position."""
        channels, height, width = x0.shape
        places = x0.reshape(channels, -1).T.cpu()
        colours = places @ self.weights[:-1] + self.weights[-1]
        rgb = colours.clamp(0, 255).round().to(torch.uint8).numpy().tobytes()
        return Pixels(width=width, height=height, rgb=rgb)


def fit_preview(family: Family) -> PreviewMap:
    """Fit the map by least squares on what the decoder makes of smooth random latents."""
    width, height = family.native_size
    channels, rows, columns = family.latent_shape(width, height)
    generator = torch.Generator().manual_seed(SEED)
    coarse = torch.randn(SAMPLE_ROWS, channels, max(1, rows // 4), max(1, columns // 4), generator=generator)
    latents = F.interpolate(coarse, size=(rows, columns), mode="bilinear")
    pictures = torch.cat([family.decode(latent[None]) for latent in latents]).float().permute(0, 3, 1, 2)
    colours = F.adaptive_avg_pool2d(pictures, (rows, columns)).permute(0, 2, 3, 1).reshape(-1, 3).cpu()
    places = latents.permute(0, 2, 3, 1).reshape(-1, channels)
    design = torch.cat([places, torch.ones(len(places), 1)], dim=1)
    return PreviewMap(weights=torch.linalg.lstsq(design, colours).solution)
