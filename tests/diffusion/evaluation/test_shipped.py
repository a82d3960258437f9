"""What the shipped models must be, whatever they have learned."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import safelight
from safelight.diffusion.evaluation.adapter_quality import score_adapters
from safelight.diffusion.paint import make_job, paint_all
from safelight.diffusion.training.adapter_recipe import LORAS, AdapterRecipe
from safelight.shapes.caption import parse
from safelight.shapes.looking import look

MODELS = Path(safelight.__file__).parent / "models"
NAMES = tuple(lora.name for lora in LORAS)
MOST_BYTES = 24_000_000
BACKGROUNDS = ("white", "gray", "black", "beige")


def test_both_models_together_stay_within_their_bytes():
    assert sum(_bytes(folder) for folder in MODELS.glob("shapes-*")) <= MOST_BYTES


def test_all_adapters_together_stay_within_their_bytes():
    assert 0 < _bytes(MODELS / "adapters") <= MOST_BYTES


def test_the_adapters_are_those_of_the_recipe():
    recipe = AdapterRecipe()
    names = {lora.path(MODELS / "adapters").name for lora in recipe.loras} | set(recipe.controls)
    assert {file.name for file in (MODELS / "adapters").iterdir()} == names


def test_loras_have_the_ranks_of_the_recipe():
    ranks = {
        lora.name: json.loads(config.read_text())["r"]
        for lora in LORAS
        for config in lora.path(MODELS / "adapters").rglob("adapter_config.json")
    }
    assert ranks == {lora.name: lora.rank for lora in LORAS if not lora.as_kohya}
    assert {lora.rank for lora in LORAS} == {4, 8, 16}


def test_every_lora_shows_its_style():
    effects = score_adapters(MODELS, MODELS / "adapters", prompts=4, on_adapter=lambda done, total: None, names=NAMES)
    faint = {name for name, effect in effects.loras.items() if effect.style.with_it < effect.style.without + 0.3}
    assert (set(effects.loras), faint) == (set(NAMES), set())


def test_every_weight_is_finite():
    for file in MODELS.rglob("*.safetensors"):
        assert all(torch.isfinite(weight).all() for weight in load_file(file).values()), file


@pytest.mark.parametrize("model", ["shapes-large", "shapes-small"])
def test_backgrounds_are_those_of_the_captions(engine, model):
    captions = [f"a medium red circle on a {background} background" for background in BACKGROUNDS]
    jobs = [make_job(engine.models, caption, model=model, seed=5) for caption in captions]
    pictures = [np.frombuffer(one.rgb, np.uint8).reshape(one.height, one.width, 3) for one in paint_all(engine, jobs)]
    assert [look(picture).background for picture in pictures] == [parse(caption).background for caption in captions]


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
