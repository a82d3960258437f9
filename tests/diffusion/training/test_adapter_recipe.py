"""The whole training of the embedded adapters, in miniature."""

import json
from itertools import islice

import numpy as np
import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file

from safelight.core.errors import AdapterFileError, InvalidParameter
from safelight.diffusion.embedded import LARGE, SMALL, EmbeddedLora
from safelight.diffusion.evaluation.adapter_quality import score_adapters
from safelight.diffusion.training.adapter_recipe import AdapterRecipe
from safelight.diffusion.training.adapters import train_adapters
from safelight.diffusion.training.base_model import load_base
from safelight.diffusion.training.data import to_signal
from safelight.diffusion.training.fit import TrainingConfig
from safelight.diffusion.training.sharpening import sharpen
from safelight.local.model_folders import SHIPPED_MODELS
from safelight.shapes.sampling import training_scenes
from safelight.shapes.styles import STYLES

# PEFT asks transformers in a way that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

SHORT = TrainingConfig(name="short", steps=2, warmup_steps=1, checkpoint_every=1)
RECIPE = AdapterRecipe(
    loras=(
        EmbeddedLora(name="night", style="night", rank=4, with_text=True),
        EmbeddedLora(name="mint", style="mint", rank=8, as_kohya=True),
        EmbeddedLora(name="pastel-small", style="pastel", rank=4, model=SMALL, teacher="mint"),
    ),
    lora=SHORT,
    lora_scenes=8,
    sharpen_steps=1,
    lora_batch=2,
    controls=("mask",),
    control=SHORT,
    control_layers=1,
    control_scenes=8,
    control_batch=2,
    sheet_columns=1,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a very short training has been run, and the adapters that it made."""
    folder = tmp_path_factory.mktemp("adapters")
    return folder, train_adapters(RECIPE, SHIPPED_MODELS, folder, Progress(disable=True))


def test_the_training_writes_each_adapter_in_its_format(trained):
    folder, written = trained
    assert written == [folder / "adapters" / name for name in ("night", "mint.safetensors", "pastel-small", "mask")]


def test_an_adapter_that_changes_text_encoders_has_a_folder_for_each_part(trained):
    _, (night, *_) = trained
    assert {part.name for part in night.iterdir()} == {"transformer", "text_encoder", "text_encoder_2"}


def test_a_peft_folder_names_its_base_and_no_path(trained):
    _, (night, *_) = trained
    config = json.loads((night / "transformer" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "shapes-large"


def test_weights_are_in_half_precision(trained):
    _, (night, *_, mask) = trained
    files = (night / "transformer" / "adapter_model.safetensors", mask / "diffusion_pytorch_model.safetensors")
    assert {str(tensor.dtype) for file in files for tensor in load_file(file).values()} == {"torch.float16"}


def test_a_finished_training_is_not_run_again(trained):
    folder, written = trained
    before = (folder / "night.loss.csv").read_bytes()
    again = train_adapters(RECIPE, SHIPPED_MODELS, folder, Progress(disable=True), only=["night"])
    assert again == written[:1]
    assert (folder / "night.loss.csv").read_bytes() == before


def test_every_adapter_leaves_a_sheet(trained):
    folder, _ = trained
    assert {"night.png", "mint.png", "mask.png"} <= {file.name for file in folder.iterdir()}


def test_every_adapter_can_be_measured(trained):
    folder, _ = trained
    effects = score_adapters(SHIPPED_MODELS, folder / "adapters", prompts=2, on_adapter=lambda done, total: None)
    assert (set(effects.loras), set(effects.controlnets)) == ({"night", "mint", "pastel-small"}, {"mask"})


def test_an_adapter_that_the_recipe_lacks_is_refused(tmp_path):
    with pytest.raises(InvalidParameter, match="nihgt"):
        train_adapters(RECIPE, SHIPPED_MODELS, tmp_path, Progress(disable=True), only=["nihgt"])


def test_a_lora_is_not_trained_before_its_teacher(tmp_path):
    with pytest.raises(AdapterFileError, match=r"mint\.safetensors"):
        train_adapters(RECIPE, SHIPPED_MODELS, tmp_path, Progress(disable=True), only=["pastel-small"])


def test_sharpened_latents_decode_nearer_to_the_styled_pictures():
    base, neon = load_base(SHIPPED_MODELS / LARGE), next(style for style in STYLES if style.name == "neon")
    scenes = islice(training_scenes(np.random.default_rng(3)), 2)
    pictures = torch.from_numpy(np.stack([neon.paint(scene) for scene in scenes])).permute(0, 3, 1, 2)
    encoded = base.encode(pictures)
    sharpened = sharpen(encoded, pictures, base, AdapterRecipe())

    def error(latents):
        return (base.decode(latents) - to_signal(pictures)).detach().abs().mean()

    assert error(sharpened) < 0.8 * error(encoded)
