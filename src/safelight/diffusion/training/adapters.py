"""Training the embedded adapters: a LoRA for each style, a ControlNet for each type of control picture."""

from collections.abc import Collection
from pathlib import Path

import torch
from rich.progress import Progress

from safelight.core.errors import InvalidParameter, nearest
from safelight.diffusion.embedded import LARGE, EmbeddedLora
from safelight.diffusion.evaluation.adapter_painter import fold_lora
from safelight.diffusion.training.adapter_recipe import AdapterRecipe
from safelight.diffusion.training.adapter_sheet import write_control_sheet, write_style_sheet, write_styles
from safelight.diffusion.training.base_model import BaseModel, load_base
from safelight.diffusion.training.controlnets import train_controlnet
from safelight.diffusion.training.loras import train_lora


def train_adapters(
    recipe: AdapterRecipe, models: Path, folder: Path, progress: Progress, *, only: Collection[str] = ()
) -> list[Path]:
    """Run or resume the training for the models in folder `models`; return what it wrote to `folder`/adapters.

    `only` names the adapters to train, so that several processes can share the work; nothing in it means all.

    Raises:
        InvalidParameter: the recipe has no adapter of a name in `only`.
        AdapterFileError: a LoRA that teaches one of them has not been trained yet.
    """
    names = [*(lora.name for lora in recipe.loras), *recipe.controls]
    for name in only:
        if name not in names:
            raise InvalidParameter("only", name, nearest(name, tuple(names)))
    (folder / "adapters").mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.threads)
    written = []
    for lora in recipe.loras:
        if not only or lora.name in only:
            base, teacher = load_base(models / lora.model), _load_teacher(lora, recipe, models, folder)
            written.append(train_lora(lora, base, recipe, folder, progress, teacher=teacher))
            write_style_sheet(
                models / lora.model, written[-1], folder / f"{lora.name}.png", columns=recipe.sheet_columns
            )
    styles = {lora.name: path for lora, path in zip(recipe.loras, written, strict=False) if lora.model == LARGE}
    if len(written) == len(recipe.loras):
        write_styles(models / LARGE, styles, folder / "styles.png", columns=recipe.sheet_columns)
    for kind in recipe.controls:
        if not only or kind in only:
            written.append(train_controlnet(kind, load_base(models / LARGE), recipe, folder, progress))
            write_control_sheet(models / LARGE, kind, written[-1], folder / f"{kind}.png", columns=recipe.sheet_columns)
    return written


def _load_teacher(lora: EmbeddedLora, recipe: AdapterRecipe, models: Path, folder: Path) -> BaseModel | None:
    if lora.teacher is None:
        return None
    taught = next(other for other in recipe.loras if other.name == lora.teacher)
    teacher = load_base(models / taught.model)
    fold_lora(taught.path(folder / "adapters"), teacher.parts)
    return teacher
