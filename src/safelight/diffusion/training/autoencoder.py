"""Training the autoencoder: first as a whole, then its decoder alone."""

import copy
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from safelight.diffusion.training import nets
from safelight.diffusion.training.data import blur, crop, to_signal, vary_pictures
from safelight.diffusion.training.fit import fit
from safelight.diffusion.training.recipe import Recipe


def train_autoencoder(recipe: Recipe, pictures: Tensor, folder: Path, progress: Progress) -> AutoencoderKL:
    """Train the autoencoder on varied pictures: absolute and squared error, and a light pull to the unit Gaussian.

    The first part of the first training sees small crops with something in them, which teach more a second than whole
    pictures. The second training weighs the error by where a picture differs from its blurred self.
    """
    net = nets.make_autoencoder()
    average = copy.deepcopy(net)

    def loss(wanted: Tensor, weight: Tensor, generator: torch.Generator) -> Tensor:
        posterior = net.encode(wanted).latent_dist
        error = net.decode(posterior.sample(generator)).sample - wanted
        divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        return (weight * (error.abs() + 2 * error.square())).mean() + recipe.divergence_weight * divergence

    def draw(count: int, generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(pictures), (count,), generator=generator)
        return vary_pictures(to_signal(pictures[rows]), generator)

    def first(step: int, generator: torch.Generator) -> Tensor:
        is_cropped = step < recipe.autoencoder_cropped * recipe.autoencoder.steps
        wanted = draw(recipe.crops if is_cropped else recipe.whole_pictures, generator)
        wanted = crop(wanted, generator) if is_cropped else wanted
        return loss(wanted, torch.ones(()), generator)

    def second(step: int, generator: torch.Generator) -> Tensor:
        wanted = draw(recipe.whole_pictures, generator)
        is_detail = (wanted - blur(wanted)).abs().amax(dim=1, keepdim=True) > 0.05
        return loss(wanted, 1 + recipe.detail_weight * is_detail, generator)

    fit(net, average, first, recipe.autoencoder, folder=folder, progress=progress)
    net.load_state_dict(average.state_dict())
    fit(net, average, second, recipe.detail, folder=folder, progress=progress)
    return average.eval()


@torch.no_grad()
def encode_all(autoencoder: AutoencoderKL, pictures: Tensor, path: Path, progress: Progress) -> Tensor:
    """Return the latents of all pictures, and change the autoencoder to match: zero mean, unit spread by channel."""
    if path.exists():
        latents = load_file(path)["latents"]
    else:
        task = progress.add_task("latents", total=len(pictures))
        parts = []
        for batch in torch.split(pictures, 64):
            parts.append(autoencoder.encode(to_signal(batch)).latent_dist.mean)
            progress.advance(task, len(batch))
        latents = torch.cat(parts).contiguous()
        save_file({"latents": latents}, path)
    mean, spread = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    _standardise(autoencoder, mean, spread)
    return (latents - mean.view(1, -1, 1, 1)) / spread.view(1, -1, 1, 1)


def _standardise(autoencoder: AutoencoderKL, mean: Tensor, spread: Tensor) -> None:
    """Fold `(latent - mean) / spread` into the 1x1 convolutions on both sides of the latents."""
    into, out_of = autoencoder.quant_conv, autoencoder.post_quant_conv
    channels = len(mean)
    into.weight[:channels] /= spread.view(-1, 1, 1, 1)
    into.bias[:channels] = (into.bias[:channels] - mean) / spread
    into.bias[channels:] -= 2 * spread.log()
    out_of.bias += out_of.weight[:, :, 0, 0] @ mean
    out_of.weight *= spread.view(1, -1, 1, 1)
    autoencoder.register_to_config(scaling_factor=1.0)


def train_decoder(
    recipe: Recipe,
    autoencoder: AutoencoderKL,
    pictures: Tensor,
    folder: Path,
    progress: Progress,
    *,
    shares: Tensor,
) -> None:
    """Sharpen the decoder, the latents left as they are; pictures are drawn in proportion to `shares`."""
    net = nn.ModuleDict({"post_quant_conv": autoencoder.post_quant_conv, "decoder": autoencoder.decoder})
    average = copy.deepcopy(net)
    net.requires_grad_(requires_grad=True)

    def loss(_: int, generator: torch.Generator) -> Tensor:
        rows = torch.multinomial(shares, recipe.whole_pictures, generator=generator)
        signal = to_signal(pictures[rows])
        is_varied = torch.rand(len(rows), 1, 1, 1, generator=generator) < recipe.varied_share
        wanted = torch.where(is_varied, vary_pictures(signal, generator), signal)
        with torch.no_grad():
            latents = autoencoder.encode(wanted).latent_dist.mean
        latents = latents + recipe.decoder_noise * torch.randn(latents.shape, generator=generator)
        error = net["decoder"](net["post_quant_conv"](latents)) - wanted
        is_detail = (wanted - blur(wanted)).abs().amax(dim=1, keepdim=True) > 0.05
        return ((1 + recipe.decoder_detail_weight * is_detail) * (error.abs() + 2 * error.square())).mean()

    fit(net, average, loss, recipe.decoder, folder=folder, progress=progress)
    net.load_state_dict(average.state_dict())
    net.requires_grad_(requires_grad=False)
