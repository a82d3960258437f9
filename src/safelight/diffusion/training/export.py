"""Writing the trained networks as diffusers folders."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from safelight.diffusion.folder import SETTINGS
from safelight.diffusion.training import nets
from safelight.diffusion.training.recipe import ConditionedDenoiser, Trained

LARGE, SMALL = "shapes-large", "shapes-small"

SERVED_SETTINGS = {
    LARGE: {"steps": 25, "guidance_scale": 3.0, "sampler": "dpm++2m"},
    SMALL: {"steps": 6, "guidance_scale": 1.0, "sampler": "dpm++2m"},
}


def export(trained: Trained, folder: Path) -> None:
    """Write `shapes-large` and `shapes-small` under `folder` in half precision, each a whole pipeline."""
    for name, model in ((LARGE, trained.large), (SMALL, trained.small)):
        _export_one(trained, model, folder / name, SERVED_SETTINGS[name])


def _export_one(trained: Trained, model: ConditionedDenoiser, folder: Path, settings: dict[str, object]) -> None:
    pipeline = StableDiffusionPipeline(
        vae=trained.autoencoder,
        text_encoder=model.text_encoder,
        tokenizer=trained.tokenizer,
        unet=model.denoiser,
        scheduler=nets.make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    pipeline.to(torch.float32)
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
