"""The whole course that makes `shapes-large` and `shapes-small` from nothing.

Four stages, each resumed where it stopped: the autoencoder; the latents of all training scenes; the large
denoiser and the small one, each together with a text encoder of its own.
Velocity prediction (Salimans and Ho, 2022) with steps drawn logit-normally for the
most part (Esser et al., 2024).
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from safelight.diffusion.quality import LARGE, SMALL
from safelight.diffusion.training import nets
from safelight.diffusion.training.data import blur, crop, make_scenes, to_signal, vary_pictures
from safelight.diffusion.training.export import export_model, write_sheet
from safelight.diffusion.training.fit import Course, fit
from safelight.diffusion.training.tokenizer import make_tokenizer
from safelight.shapes.caption import tell
from safelight.shapes.sampling import vary
from safelight.shapes.scene import Scene

LARGE_SETTINGS: dict[str, object] = {"steps": 25, "guidance_scale": 3.0, "sampler": "dpm++2m"}
SMALL_SETTINGS: dict[str, object] = {"steps": 6, "guidance_scale": 1.0, "sampler": "dpm++2m"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number of the training."""

    scenes: int = 48_000
    autoencoder: Course = Course(name="autoencoder", steps=4_000, learning_rate=1.5e-3, warmup_steps=50)
    autoencoder_cropped: float = 0.75
    detail: Course = Course(name="detail", steps=2_400, warmup_steps=50, seed=3)
    detail_weight: float = 6.0
    varied_share: float = 0.3
    decoder: Course = Course(name="decoder", steps=2_600, learning_rate=7e-4, warmup_steps=50, seed=4)
    crops: int = 32
    whole_pictures: int = 16
    divergence_weight: float = 1e-4
    large: Course = Course(name="large", steps=5_000, seed=1)
    small: Course = Course(name="small", steps=5_000, learning_rate=2e-3, seed=2)
    batch: int = 64
    caption_dropout: float = 0.1
    threads: int = 2


class ConditionedDenoiser(nn.Module):
    """A text encoder and a denoiser, trained as one."""

    def __init__(self, text_encoder: CLIPTextModel, denoiser: UNet2DConditionModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.denoiser = denoiser

    def forward(self, noisy: Tensor, steps: Tensor, tokens: Tensor) -> Tensor:
        context = self.text_encoder(tokens)[0]
        velocity: Tensor = self.denoiser(noisy, steps, encoder_hidden_states=context).sample
        return velocity


def train(recipe: Recipe, folder: Path, progress: Progress) -> list[Path]:
    """Run or resume the course in `folder` and return the finished model folders.

    Beside checkpoints and loss logs, each model is written out with a sheet of samples every so often.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(0)
    scenes, pictures = make_scenes(recipe.scenes, seed=0, processes=recipe.threads)
    autoencoder = train_autoencoder(recipe, pictures, folder, progress)
    latents = encode_all(autoencoder, pictures, folder / "latents.safetensors", progress)
    train_decoder(recipe, autoencoder, pictures, folder, progress)
    del pictures
    data = Captioned(scenes=scenes, latents=latents, tokenizer=make_tokenizer(), dropout=recipe.caption_dropout)
    return [
        train_model(model, recipe, data=data, autoencoder=autoencoder, folder=folder, progress=progress)
        for model in (
            Model(name=LARGE, denoiser=nets.make_large_denoiser(), course=recipe.large, settings=LARGE_SETTINGS),
            Model(name=SMALL, denoiser=nets.make_small_denoiser(), course=recipe.small, settings=SMALL_SETTINGS),
        )
    ]


def train_autoencoder(recipe: Recipe, pictures: Tensor, folder: Path, progress: Progress) -> AutoencoderKL:
    """Train the autoencoder on varied pictures: absolute and squared error, and a light pull to the unit Gaussian.

    The first part of the first course sees small crops with something in them, which teach more a second than whole
    pictures. The second course weighs the error where a picture differs from its blurred self.
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
    """Return the latents of all pictures at zero mean and unit spread by channel, and have the autoencoder speak so."""
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
    recipe: Recipe, autoencoder: AutoencoderKL, pictures: Tensor, folder: Path, progress: Progress
) -> None:
    """Sharpen the decoder, the latents left as they are."""
    net = nn.ModuleDict({"post_quant_conv": autoencoder.post_quant_conv, "decoder": autoencoder.decoder})
    average = copy.deepcopy(net)
    net.requires_grad_(requires_grad=True)

    def loss(_: int, generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(pictures), (recipe.whole_pictures,), generator=generator)
        signal = to_signal(pictures[rows])
        is_varied = torch.rand(len(rows), 1, 1, 1, generator=generator) < recipe.varied_share
        wanted = torch.where(is_varied, vary_pictures(signal, generator), signal)
        with torch.no_grad():
            latents = autoencoder.encode(wanted).latent_dist.sample(generator)
        error = net["decoder"](net["post_quant_conv"](latents)) - wanted
        is_detail = (wanted - blur(wanted)).abs().amax(dim=1, keepdim=True) > 0.05
        return ((1 + recipe.detail_weight * is_detail) * (error.abs() + 2 * error.square())).mean()

    fit(net, average, loss, recipe.decoder, folder=folder, progress=progress)
    net.load_state_dict(average.state_dict())
    net.requires_grad_(requires_grad=False)


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

    latents: Tensor
    velocity: Tensor
    steps: Tensor


def add_noise(latents: Tensor, alphas_cumprod: Tensor, generator: torch.Generator) -> NoisyBatch:
    """Mix each latent with noise at a step of its own: four in five logit-normal about step 650, the rest uniform."""
    rows = len(latents)
    normal = torch.sigmoid(0.6 + torch.randn(rows, generator=generator))
    uniform = torch.rand(rows, generator=generator)
    share = torch.where(torch.rand(rows, generator=generator) < 0.8, normal, uniform)
    steps = (share * len(alphas_cumprod)).long()
    signal = alphas_cumprod[steps].sqrt().view(-1, 1, 1, 1)
    spread = (1 - alphas_cumprod[steps]).sqrt().view(-1, 1, 1, 1)
    noise = torch.randn(latents.shape, generator=generator)
    return NoisyBatch(
        latents=signal * latents + spread * noise, velocity=signal * noise - spread * latents, steps=steps
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """A denoiser to be trained, and how it will be served."""

    name: str
    denoiser: UNet2DConditionModel
    course: Course
    settings: dict[str, object]


def train_model(
    model: Model, recipe: Recipe, *, data: Captioned, autoencoder: AutoencoderKL, folder: Path, progress: Progress
) -> Path:
    """Train a denoiser with a text encoder of its own to predict velocities; return the written model folder."""
    net = ConditionedDenoiser(nets.make_text_encoder(data.tokenizer), model.denoiser)
    average = copy.deepcopy(net).eval()
    alphas_cumprod = nets.make_scheduler().alphas_cumprod
    written = folder / "models" / model.name

    def loss(_: int, generator: torch.Generator) -> Tensor:
        latents, tokens = data.draw(recipe.batch, generator)
        noisy = add_noise(latents, alphas_cumprod, generator)
        return (net(noisy.latents, noisy.steps, tokens) - noisy.velocity).square().mean()

    def write(step: int) -> None:
        export_model(
            tokenizer=data.tokenizer,
            text_encoder=average.text_encoder,
            autoencoder=autoencoder,
            denoiser=average.denoiser,
            settings=model.settings,
            folder=written,
        )
        write_sheet(written, folder / f"{model.name}.{step}.png", threads=recipe.threads)

    fit(net, average, loss, model.course, folder=folder, progress=progress, on_milestone=write)
    return written
