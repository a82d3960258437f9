"""Training `shapes-large` and `shapes-small` from nothing.

Five stages, each resumed where it stopped: the autoencoder; the latents of all training scenes; the large
denoiser and the small one, each together with text encoders of its own, as rectified flows with times drawn
logit-normally for the most part (Esser et al., 2024); last, the small one learns the large one's guided velocities, so
that it needs no guidance (Meng et al., 2023).
"""

from pathlib import Path

import torch
from rich.progress import Progress

from safelight.diffusion.embedded import LARGE, SMALL
from safelight.diffusion.training import nets
from safelight.diffusion.training.autoencoder import encode_all, train_autoencoder, train_decoder
from safelight.diffusion.training.data import fineness, make_scenes
from safelight.diffusion.training.denoisers import MODELS, CaptionedLatents, DenoiserTrainer
from safelight.diffusion.training.recipe import Recipe
from safelight.diffusion.training.tokenizer import make_tokenizer

LARGE_SETTINGS: dict[str, object] = {"steps": 25, "guidance_scale": 3.0, "sampler": "dpm++2m"}
SMALL_SETTINGS: dict[str, object] = {"steps": 8, "guidance_scale": 1.0, "sampler": "dpm++2m"}


def train_models(recipe: Recipe, folder: Path, progress: Progress) -> list[Path]:
    """Run or resume the training in `folder` and return the finished model folders.

    Beside checkpoints and loss logs, each model is written out with a sheet of samples every so often.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(0)
    scenes, pictures = make_scenes(recipe.scenes, seed=0, processes=recipe.threads)
    autoencoder = train_autoencoder(recipe, pictures, folder, progress)
    latents = encode_all(autoencoder, pictures, folder / "latents.safetensors", progress)
    train_decoder(recipe, autoencoder, pictures, folder, progress, shares=fineness(scenes))
    del pictures
    data = CaptionedLatents(
        scenes=scenes,
        latents=latents,
        tokenizer=make_tokenizer(),
        one_object_share=recipe.one_object_share,
        dropout=recipe.caption_dropout,
    )
    trainer = DenoiserTrainer(recipe=recipe, data=data, autoencoder=autoencoder, folder=folder, progress=progress)
    large = trainer.train(nets.make_large_denoiser(), recipe.large, name=LARGE, settings=LARGE_SETTINGS)
    small = trainer.train(nets.make_small_denoiser(), recipe.small, name=SMALL, settings=SMALL_SETTINGS)
    trainer.distil(small, teacher=large, name=SMALL, settings=SMALL_SETTINGS)
    return [folder / MODELS / LARGE, folder / MODELS / SMALL]
