"""Training a LoRA (Hu et al., ICLR 2022) that paints in a style, with PEFT."""

import copy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from rich.progress import Progress
from torch import Tensor, nn

from safelight.diffusion.embedded import EmbeddedLora
from safelight.diffusion.lora.kohya_writing import write_kohya_file
from safelight.diffusion.lora.reading import read_lora
from safelight.diffusion.lora.targets import lora_targets
from safelight.diffusion.training.adapter_recipe import AdapterRecipe
from safelight.diffusion.training.base_model import BaseModel
from safelight.diffusion.training.data import make_scenes
from safelight.diffusion.training.denoisers import CaptionedLatents, add_noise
from safelight.diffusion.training.fit import fit
from safelight.diffusion.training.sharpening import sharpen
from safelight.shapes.scene import Scene
from safelight.shapes.styles import STYLES

DENOISER_TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj", "net.0.proj", "net.2"]
TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
SCENES_SEED = 31


def train_lora(
    lora: EmbeddedLora,
    base: BaseModel,
    recipe: AdapterRecipe,
    folder: Path,
    progress: Progress,
    *,
    teacher: BaseModel | None = None,
) -> Path:
    """Train or go on training one LoRA and return where in `folder`/adapters it lies.

    It learns the velocities that lead to styled scenes, or the guided ones of a `teacher` that paints in the style.
    `base` is changed by it and not to be used again.
    """
    torch.manual_seed(recipe.lora.seed)
    data = _styled(lora, base, recipe)
    models = _with_lora(lora, base)
    learning = nn.ModuleList(
        [nn.ParameterList(p for p in one.parameters() if p.requires_grad) for one in models.values()]
    )
    average = copy.deepcopy(learning)

    def loss(_: int, generator: torch.Generator) -> Tensor:
        latents, tokens = data.draw(recipe.lora_batch, generator)
        noisy = add_noise(latents, generator)
        wanted = noisy.velocity
        if teacher is not None:
            wanted = teacher.guided_velocity(noisy.latents, noisy.times, tokens, scale=recipe.teacher_guidance)
        return (base.velocity(noisy.latents, noisy.times, tokens) - wanted).square().mean()

    config = replace(recipe.lora, name=lora.name, steps=lora.longer * recipe.lora.steps)
    fit(learning, average, loss, config, folder=folder, progress=progress)
    learning.load_state_dict(average.state_dict())
    return _write(lora, models, base, folder / "adapters")


def _styled(lora: EmbeddedLora, base: BaseModel, recipe: AdapterRecipe) -> CaptionedLatents:
    style = next(style for style in STYLES if style.name == lora.style)
    scenes, pictures = make_scenes(lora.longer * recipe.lora_scenes, seed=SCENES_SEED, processes=recipe.threads)
    painted = _stack(style.paint(scene) for scene in scenes)
    plain, styled = base.encode(pictures), base.encode(painted)
    start = plain + recipe.sharpen_start * (styled - plain)
    return with_captions(scenes, sharpen(start, painted, base, recipe), base, recipe)


def _stack(pictures: Iterator[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(list(pictures))).permute(0, 3, 1, 2).contiguous()


def with_captions(scenes: list[Scene], latents: Tensor, base: BaseModel, recipe: AdapterRecipe) -> CaptionedLatents:
    """Return latents with the words that plain scenes would have."""
    return CaptionedLatents(
        scenes=scenes,
        latents=latents,
        tokenizer=base.tokenizer,
        one_object_share=recipe.one_object_share,
        dropout=recipe.caption_dropout,
    )


def _with_lora(lora: EmbeddedLora, base: BaseModel) -> dict[str, PeftModel]:
    """Put untrained low-rank layers into the networks of `base`, by component."""
    targets = {name: DENOISER_TARGETS if name == "transformer" else TEXT_TARGETS for name in base.parts}
    return {
        name: get_peft_model(net, LoraConfig(r=lora.rank, lora_alpha=lora.rank, target_modules=targets[name]))
        for name, net in base.parts.items()
        if lora.with_text or name == "transformer"
    }


def _write(lora: EmbeddedLora, models: dict[str, PeftModel], base: BaseModel, folder: Path) -> Path:
    written = folder / lora.name
    shutil.rmtree(written, ignore_errors=True)
    for name, model in models.items():
        model.peft_config["default"].lora_alpha = lora.strength * lora.rank
        _write_part(model, base.name, written / name if len(models) > 1 else written)
    if not lora.as_kohya:
        return written
    single = lora.path(folder)
    targets = {name: lora_targets(net) for name, net in _plain_parts(models).items()}
    write_kohya_file(read_lora(written, targets), single)
    shutil.rmtree(written)
    return single


def _plain_parts(models: dict[str, PeftModel]) -> dict[str, nn.Module]:
    return {name: model.unload() for name, model in models.items()}


def _write_part(model: PeftModel, base_name: str, folder: Path) -> None:
    model.peft_config["default"].base_model_name_or_path = base_name
    halves = {name: value.half() for name, value in model.state_dict().items() if "lora_" in name}
    model.save_pretrained(str(folder), state_dict=halves, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
