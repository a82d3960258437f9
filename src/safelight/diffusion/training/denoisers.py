"""Training denoisers, each together with text encoders of its own, on the latents of captioned scenes."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, SD3Transformer2DModel
from rich.progress import Progress
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerFast

from safelight.diffusion.families.text import encode_clips, tokenize
from safelight.diffusion.training import nets
from safelight.diffusion.training.export import export_model, write_sheet
from safelight.diffusion.training.fit import Loss, TrainingConfig, fit
from safelight.diffusion.training.recipe import Recipe
from safelight.shapes.caption import caption_of
from safelight.shapes.sampling import vary
from safelight.shapes.scene import Scene

MODELS = "models"
"""The folder, beside checkpoints and logs, that holds the written models."""


class ConditionedDenoiser(nn.Module):
    """Two text encoders and a denoiser, trained as one."""

    def __init__(self, text_encoders: list[CLIPTextModelWithProjection], denoiser: SD3Transformer2DModel) -> None:
        super().__init__()
        self.text_encoders = nn.ModuleList(text_encoders)
        self.denoiser = denoiser

    def forward(self, noisy: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        """Return velocities for (rows, channels, height, width) latents at (rows,) times in [0, 1]."""
        with torch.autocast(noisy.device.type, torch.bfloat16):
            contexts, pooled = encode_clips(list(self.text_encoders), [tokens, tokens])
            velocity = self.denoiser(
                noisy,
                encoder_hidden_states=F.pad(contexts, (0, 0, 0, 1)),
                pooled_projections=pooled,
                timestep=1000 * times,
            ).sample
        return velocity.float()


@dataclass(frozen=True, kw_only=True)
class CaptionedLatents:
    """Latents of scenes; each draw words the captions anew."""

    scenes: list[Scene]
    latents: Tensor
    tokenizer: PreTrainedTokenizerFast
    one_object_share: float
    dropout: float

    @cached_property
    def _by_objects(self) -> tuple[Tensor, Tensor]:
        is_single = torch.tensor([len(scene.objects) == 1 for scene in self.scenes])
        return is_single.nonzero().flatten(), (~is_single).nonzero().flatten()

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return `count` latents with the tokens of a caption each, some captions empty."""
        ones = int(self.one_object_share * count)
        rows = torch.cat(
            [
                part[torch.randint(len(part), (number,), generator=generator)]
                for part, number in zip(self._by_objects, (ones, count - ones), strict=True)
            ]
        )
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        captions = [
            "" if rng.random() < self.dropout else caption_of(vary(rng, self.scenes[row].description))
            for row in rows.tolist()
        ]
        return self.latents[rows], tokenize(self.tokenizer, captions)


@dataclass(frozen=True, kw_only=True)
class NoisyBatch:
    """Latents on their way to noise, and the velocity that leads there."""

    latents: Tensor
    velocity: Tensor
    times: Tensor


def add_noise(latents: Tensor, generator: torch.Generator) -> NoisyBatch:
    """Mix each latent with noise at a time of its own: four in five logit-normal about 0.62, the rest uniform."""
    rows = len(latents)
    normal = torch.sigmoid(0.5 + torch.randn(rows, generator=generator))
    uniform = torch.rand(rows, generator=generator)
    times = torch.where(torch.rand(rows, generator=generator) < 0.8, normal, uniform)
    noise = torch.randn(latents.shape, generator=generator)
    share = times.view(-1, 1, 1, 1)
    return NoisyBatch(latents=(1 - share) * latents + share * noise, velocity=noise - latents, times=times)


@dataclass(frozen=True, kw_only=True)
class DenoiserTrainer:
    """Trains denoisers on captioned latents, and writes models and logs to `folder`."""

    recipe: Recipe
    data: CaptionedLatents
    autoencoder: AutoencoderKL
    folder: Path
    progress: Progress

    def train(
        self, denoiser: SD3Transformer2DModel, config: TrainingConfig, *, name: str, settings: dict[str, object]
    ) -> ConditionedDenoiser:
        """Train a denoiser with text encoders of its own to predict velocities; return its average."""
        net = ConditionedDenoiser([nets.make_text_encoder(self.data.tokenizer) for _ in range(2)], denoiser)

        def loss(_: int, generator: torch.Generator) -> Tensor:
            latents, tokens = self.data.draw(self.recipe.batch, generator)
            noisy = add_noise(latents, generator)
            return (net(noisy.latents, noisy.times, tokens) - noisy.velocity).square().mean()

        return self._fit(net, loss, config, name=name, settings=settings)

    def distil(
        self, net: ConditionedDenoiser, *, teacher: ConditionedDenoiser, name: str, settings: dict[str, object]
    ) -> ConditionedDenoiser:
        """Train a denoiser further to predict the guided velocities of `teacher`; return its average."""
        net.requires_grad_(requires_grad=True)
        scale = self.recipe.distilled_guidance
        empty = tokenize(self.data.tokenizer, [""]).expand(self.recipe.batch, -1)

        def loss(_: int, generator: torch.Generator) -> Tensor:
            latents, tokens = self.data.draw(self.recipe.batch, generator)
            noisy = add_noise(latents, generator)
            with torch.no_grad():
                wanted, unwanted = teacher(
                    torch.cat([noisy.latents] * 2), torch.cat([noisy.times] * 2), torch.cat([tokens, empty])
                ).chunk(2)
            guided = unwanted + scale * (wanted - unwanted)
            return (net(noisy.latents, noisy.times, tokens) - guided).square().mean()

        return self._fit(net, loss, self.recipe.distilled, name=name, settings=settings)

    def _fit(
        self, net: ConditionedDenoiser, loss: Loss, config: TrainingConfig, *, name: str, settings: dict[str, object]
    ) -> ConditionedDenoiser:
        average = copy.deepcopy(net).eval()

        def write(step: int) -> None:
            written = self.folder / MODELS / name
            export_model(
                tokenizer=self.data.tokenizer,
                text_encoders=list(average.text_encoders),
                autoencoder=self.autoencoder,
                denoiser=average.denoiser,
                settings=settings,
                folder=written,
            )
            write_sheet(written, self.folder / f"{config.name}.{step}.png", threads=self.recipe.threads)

        fit(
            net,
            average,
            loss,
            config,
            folder=self.folder,
            progress=self.progress,
            matrices=nets.hidden_matrices(net.denoiser),
            on_milestone=write,
        )
        return average
