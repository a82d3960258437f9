"""Writing a trained model as a diffusers folder, and a sheet of what it paints."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, StableDiffusion3Pipeline
from PIL import Image
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerFast

from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.quality import sample_sheet
from safelight.diffusion.folder import SETTINGS
from safelight.diffusion.training import nets

SHEET_CAPTIONS = (
    "a large red circle on a white background",
    "a small yellow star on a black background",
    "a medium green heart on a beige background",
    "a large purple cross on a gray background",
    "a large blue square left of a small orange triangle on a white background",
    "a medium pink heart above a large cyan square on a black background",
    "a small red star left of a large green circle on a beige background",
    "a medium yellow cross above a small blue triangle on a gray background",
)
SHEET_ROWS = 3
SHEET_SEED = 0


def export_model(
    *,
    tokenizer: PreTrainedTokenizerFast,
    text_encoders: Sequence[CLIPTextModelWithProjection],
    autoencoder: AutoencoderKL,
    denoiser: SD3Transformer2DModel,
    settings: dict[str, object],
    folder: Path,
) -> None:
    """Write a whole pipeline to `folder`, weights in half precision; the networks are left as they were."""
    first, second = text_encoders
    pipeline = StableDiffusion3Pipeline(
        vae=autoencoder,
        text_encoder=first,
        text_encoder_2=second,
        text_encoder_3=nets.make_silent_t5(tokenizer),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=tokenizer,
        transformer=denoiser,
        scheduler=nets.make_scheduler(),
    )
    kept = [
        (part, {name: value.clone() for name, value in part.state_dict().items()})
        for part in (autoencoder, first, second, denoiser)
    ]
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    pipeline.to(torch.float32)
    for part, weights in kept:
        part.load_state_dict(weights)
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")


def write_sheet(model: Path, path: Path, *, threads: int) -> None:
    """Paint `SHEET_CAPTIONS`, a column each, with the model in folder `model`, and write them as one PNG."""
    engine = DiffusionEngine.load([model], threads=threads)
    sheet = sample_sheet(engine, model.name, SHEET_CAPTIONS * SHEET_ROWS, seed=SHEET_SEED, columns=len(SHEET_CAPTIONS))
    Image.frombytes("RGB", (sheet.width, sheet.height), sheet.rgb).save(path)
