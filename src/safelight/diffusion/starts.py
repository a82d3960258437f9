"""What a row starts from: noise, a picture, or an estimate; and what inpainting keeps of a picture."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from safelight.core.request import ImageRequest
from safelight.core.start import PAINTED, LatentsStart, PictureStart
from safelight.diffusion.families.family import Family
from safelight.diffusion.latents_file import LatentsFile
from safelight.diffusion.samplers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of a picture while the rest is painted anew.

    `latents` and `noise` have shape (channels, height, width); `mask`, (1, height, width), is 1 where it is painted.
    """

    latents: Tensor
    noise: Tensor
    mask: Tensor

    def within(self, latent: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Return `latent` with the kept places as they are at this level, as diffusers' inpainting does it."""
        return self.mask * latent + (1 - self.mask) * (alpha * self.latents + sigma * self.noise)


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A row's latent, (channels, height, width), before its first step, and what is kept of a picture."""

    latent: Tensor
    kept: Kept | None = None

    def to(self, device: torch.device) -> "Beginning":
        """Return it on a device."""
        kept = self.kept
        if kept is not None:
            kept = Kept(latents=kept.latents.to(device), noise=kept.noise.to(device), mask=kept.mask.to(device))
        return Beginning(latent=self.latent.to(device), kept=kept)


def begin_from(family: Family, request: ImageRequest, schedule: Schedule, *, weights: str) -> Beginning:
    """Return what a row of `request` begins with; numbers are drawn as diffusers' pipelines draw them for this seed.

    Raises:
        LatentsFileError: if it starts from latents that are not an estimate by the same weights at the same size.
    """
    shape = family.latent_shape(request.width, request.height)
    luck = torch.Generator().manual_seed(request.seed)
    alpha, sigma = schedule.alpha[request.first_step], schedule.sigma[request.first_step]
    match request.start:
        case None:
            return Beginning(latent=schedule.first_scale * _noise(shape, luck))
        case LatentsStart(file=file):
            estimate = LatentsFile.from_bytes(file)
            estimate.check("estimate", request, weights=weights, shape=shape)
            return Beginning(latent=alpha * estimate.tensors["x0"] + sigma * _noise(shape, luck))
        case PictureStart(image=image, mask=mask):
            latents = family.encode_picture(image, _noise(shape, luck)).cpu()
            noise = _noise(shape, luck)
            noised = alpha * latents + sigma * noise
            if mask is None:
                return Beginning(latent=noised)
            kept = Kept(latents=latents, noise=noise, mask=_at_places(mask, request, shape))
            is_anew = request.first_step == 0
            return Beginning(latent=schedule.first_scale * noise if is_anew else noised, kept=kept)


def _noise(shape: tuple[int, int, int], luck: torch.Generator) -> Tensor:
    return torch.randn((1, *shape), generator=luck)[0]


def _at_places(mask: bytes, request: ImageRequest, shape: tuple[int, int, int]) -> Tensor:
    """Return a mask of pixels as (1, height, width) ones and zeros over the latents."""
    pixels = torch.frombuffer(bytearray(mask), dtype=torch.uint8).view(1, 1, request.height, request.width)
    return F.interpolate((pixels == PAINTED).float(), size=shape[1:])[0]
