"""What a row starts from: noise, a picture, or an estimate; and what inpainting keeps of a picture."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from safelight.core.job import Job
from safelight.core.source import PAINTED, PictureSource
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


def begin_from(family: Family, job: Job, schedule: Schedule, *, weights: str, start: bytes | None = None) -> Beginning:
    """Return what a row of `job` begins with: noised, `start`, else the request's picture, else nothing.

    Numbers are drawn as diffusers' pipelines draw them for this seed.

    Raises:
        LatentsFileError: if the latents file `start` is no estimate by the same weights at the same size.
    """
    request, first_step = job.request, job.level.first_step
    shape = family.latent_shape(request.width, request.height)
    generator = torch.Generator().manual_seed(request.seed)
    alpha, sigma = schedule.alpha[first_step], schedule.sigma[first_step]
    if start is not None:
        estimate = LatentsFile.from_bytes(start)
        estimate.check("estimate", job, weights=weights, shape=shape)
        return Beginning(latent=alpha * estimate.tensors["x0"] + sigma * _noise(shape, generator))
    if request.source is None:
        return Beginning(latent=schedule.first_scale * _noise(shape, generator))
    latents = family.encode_picture(request.source.image, _noise(shape, generator)).cpu()
    noise = _noise(shape, generator)
    noised = alpha * latents + sigma * noise
    if request.source.mask is None:
        return Beginning(latent=noised)
    kept = Kept(latents=latents, noise=noise, mask=_at_places(request.source, shape))
    return Beginning(latent=schedule.first_scale * noise if first_step == 0 else noised, kept=kept)


def _noise(shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    return torch.randn((1, *shape), generator=generator)[0]


def _at_places(source: PictureSource, shape: tuple[int, int, int]) -> Tensor:
    """Return a source's mask of pixels as (1, height, width) ones and zeros over the latents."""
    mask = torch.frombuffer(bytearray(source.mask or b""), dtype=torch.uint8)
    pixels = mask.view(1, 1, source.image.height, source.image.width)
    return F.interpolate((pixels == PAINTED).float(), size=shape[1:])[0]
