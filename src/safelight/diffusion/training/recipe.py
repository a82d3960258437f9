"""The whole course that makes `shapes-large` and `shapes-small` from nothing.

Four stages, each resumed where it stopped: the autoencoder; the latents of all training scenes; the large
denoiser together with the text encoder; the small denoiser, which learns the large one's guided answers.
Velocity prediction (Salimans and Ho, 2022) on a cosine schedule, with steps drawn logit-normally for the
most part (Esser et al., 2024).
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from safelight.diffusion.training import nets
from safelight.diffusion.training.data import crop, make_scenes, to_signal, vary_pictures
from safelight.diffusion.training.fit import Course, fit
from safelight.diffusion.training.tokenizer import make_tokenizer
from safelight.shapes.caption import tell
from safelight.shapes.sampling import vary
from safelight.shapes.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number of the training; the defaults made the shipped weights."""

    scenes: int = 60_000
    autoencoder: Course = Course(name="autoencoder", steps=4_000, learning_rate=1.5e-3, warmup_steps=50)
    autoencoder_cropped: float = 0.75
    crops: int = 32
    whole_pictures: int = 16
    divergence_weight: float = 1e-4
    large: Course = Course(name="large", steps=5_000, seed=1)
    small: Course = Course(name="small", steps=5_000, learning_rate=2e-3, seed=2)
    batch: int = 64
    caption_dropout: float = 0.1
    teacher_guidance: float = 2.0
    threads: int = 2


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The finished networks (running averages), in evaluation mode."""

    tokenizer: PreTrainedTokenizerFast
    text_encoder: nn.Module
    autoencoder: nn.Module
    large: nn.Module
    small: nn.Module


class ConditionedDenoiser(nn.Module):
    """A text encoder and a denoiser, trained as one."""

    def __init__(self, text_encoder: nn.Module, denoiser: nn.Module) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.denoiser = denoiser

    def forward(self, noisy: Tensor, steps: Tensor, tokens: Tensor) -> Tensor:
        context = self.text_encoder(tokens)[0]
        return self.denoiser(noisy, steps, encoder_hidden_states=context).sample


def train(recipe: Recipe, folder: Path, progress: Progress) -> Trained:
    """Run or resume the course in `folder` and return the trained networks."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(0)
    scenes, pictures = make_scenes(recipe.scenes, seed=0, processes=recipe.threads)
    autoencoder = train_autoencoder(recipe, pictures, folder, progress)
    latents = encode_all(autoencoder, pictures, folder / "latents.safetensors", progress)
    del pictures
    data = Captioned(scenes=scenes, latents=latents, tokenizer=make_tokenizer(), dropout=recipe.caption_dropout)
    teacher = train_large(recipe, data, folder, progress)
    small = train_small(recipe, data, teacher, folder, progress)
    return Trained(
        tokenizer=data.tokenizer,
        text_encoder=teacher.text_encoder,
        autoencoder=autoencoder,
        large=teacher.denoiser,
        small=small,
    )


def train_autoencoder(recipe: Recipe, pictures: Tensor, folder: Path, progress: Progress) -> nn.Module:
    """Train the autoencoder on varied pictures: absolute and squared error, and a light pull to the unit Gaussian.

    The first part of the course sees small crops with something in them, which teach more a second than whole pictures.
    """
    net = nets.make_autoencoder()
    average = copy.deepcopy(net)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        is_cropped = step < recipe.autoencoder_cropped * recipe.autoencoder.steps
        count = recipe.crops if is_cropped else recipe.whole_pictures
        rows = torch.randint(len(pictures), (count,), generator=generator)
        wanted = vary_pictures(to_signal(pictures[rows]), generator)
        wanted = crop(wanted, generator) if is_cropped else wanted
        posterior = net.encode(wanted).latent_dist
        painted = net.decode(posterior.sample(generator)).sample
        divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        error = painted - wanted
        return error.abs().mean() + 2 * error.square().mean() + recipe.divergence_weight * divergence

    fit(net, average, loss, recipe.autoencoder, folder=folder, progress=progress)
    return average.eval()


@torch.inference_mode()
def encode_all(autoencoder: nn.Module, pictures: Tensor, path: Path, progress: Progress) -> Tensor:
    """Return the latents of all pictures at unit scale, and note that scale in the autoencoder's config."""
    if path.exists():
        latents = load_file(path)["latents"]
    else:
        task = progress.add_task("latents", total=len(pictures))
        parts = []
        for batch in pictures.split(64):
            parts.append(autoencoder.encode(to_signal(batch)).latent_dist.mean)
            progress.advance(task, len(batch))
        latents = torch.cat(parts)
        save_file({"latents": latents}, path)
    scale = 1 / float(latents.std())
    autoencoder.register_to_config(scaling_factor=scale)
    return latents * scale


@dataclass(frozen=True, kw_only=True)
class Captioned:
    """Latents of scenes, each told in ever new words."""

    scenes: list[Scene]
    latents: Tensor
    tokenizer: PreTrainedTokenizerFast
    dropout: float

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return `count` latents with the tokens of a caption each, some captions empty."""
        rows = torch.randint(len(self.scenes), (count,), generator=generator)
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        captions = [
            "" if rng.random() < self.dropout else tell(vary(rng, self.scenes[row].wish)) for row in rows.tolist()
        ]
        return self.latents[rows], self.tokens(captions)

    def tokens(self, captions: list[str]) -> Tensor:
        """Return `(captions, MAX_TOKENS)` token numbers."""
        encoded = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        return encoded.input_ids


@dataclass(frozen=True, kw_only=True)
class NoisyBatch:
    """Latents on their way to noise, and the velocity that leads back."""

    noisy: Tensor
    velocity: Tensor
    steps: Tensor


def add_noise(latents: Tensor, alphas_cumprod: Tensor, generator: torch.Generator) -> NoisyBatch:
    """Mix each latent with noise at a step of its own: four in five logit-normal, one in five uniform."""
    rows = len(latents)
    normal = torch.sigmoid(torch.randn(rows, generator=generator))
    uniform = torch.rand(rows, generator=generator)
    share = torch.where(torch.rand(rows, generator=generator) < 0.8, normal, uniform)
    steps = (share * len(alphas_cumprod)).long()
    signal = alphas_cumprod[steps].sqrt().view(-1, 1, 1, 1)
    spread = (1 - alphas_cumprod[steps]).sqrt().view(-1, 1, 1, 1)
    noise = torch.randn(latents.shape, generator=generator)
    return NoisyBatch(
        noisy=signal * latents + spread * noise, velocity=signal * noise - spread * latents, steps=steps
    )


def train_large(recipe: Recipe, data: Captioned, folder: Path, progress: Progress) -> ConditionedDenoiser:
    """Train the large denoiser and the text encoder together."""
    net = ConditionedDenoiser(nets.make_text_encoder(data.tokenizer), nets.make_large_denoiser())
    average = copy.deepcopy(net)
    alphas_cumprod = nets.make_scheduler().alphas_cumprod

    def loss(_: int, generator: torch.Generator) -> Tensor:
        latents, tokens = data.draw(recipe.batch, generator)
        batch = add_noise(latents, alphas_cumprod, generator)
        return (net(batch.noisy, batch.steps, tokens) - batch.velocity).square().mean()

    fit(net, average, loss, recipe.large, folder=folder, progress=progress)
    return average.eval()


def train_small(
    recipe: Recipe, data: Captioned, teacher: ConditionedDenoiser, folder: Path, progress: Progress
) -> nn.Module:
    """Train the small denoiser on the large one's guided velocities, so that it needs no guidance itself."""
    net = nets.make_small_denoiser()
    average = copy.deepcopy(net)
    alphas_cumprod = nets.make_scheduler().alphas_cumprod
    with torch.inference_mode():
        empty = teacher.text_encoder(data.tokens([""]))[0]

    def loss(_: int, generator: torch.Generator) -> Tensor:
        latents, tokens = data.draw(recipe.batch, generator)
        batch = add_noise(latents, alphas_cumprod, generator)
        with torch.no_grad():
            context = teacher.text_encoder(tokens)[0]
            both = torch.cat([empty.expand_as(context), context])
            plain, wanted = teacher.denoiser(
                batch.noisy.repeat(2, 1, 1, 1), batch.steps.repeat(2), encoder_hidden_states=both
            ).sample.chunk(2)
            target = plain + recipe.teacher_guidance * (wanted - plain)
        guess = net(batch.noisy, batch.steps, encoder_hidden_states=context).sample
        return (guess - target).square().mean()

    fit(net, average, loss, recipe.small, folder=folder, progress=progress)
    return average.eval()
