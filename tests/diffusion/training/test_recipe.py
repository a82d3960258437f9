"""The whole training of the embedded models, in miniature."""

import pytest
from rich.progress import Progress

from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.training.fit import TrainingConfig
from safelight.diffusion.training.models import train_models
from safelight.diffusion.training.recipe import Recipe


def short(name: str) -> TrainingConfig:
    return TrainingConfig(name=name, steps=2, warmup_steps=1, checkpoint_every=1, milestone_every=2)


RECIPE = Recipe(
    scenes=64,
    autoencoder=short("autoencoder"),
    detail=short("detail"),
    decoder=short("decoder"),
    large=short("large"),
    small=short("small"),
    distilled=short("distilled"),
    crops=4,
    whole_pictures=2,
    batch=2,
    threads=1,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a very short training has been run, and the model folders that it made."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, train_models(RECIPE, folder, Progress(disable=True))


def test_the_training_ends_with_models_that_can_be_served(trained):
    _, models = trained
    assert [spec.name for spec in DiffusionEngine.load(models).models] == ["shapes-large", "shapes-small"]


def test_every_stage_leaves_a_loss_log_and_every_model_a_sheet(trained):
    folder, _ = trained
    names = {file.name for file in folder.iterdir()}
    logs = {f"{stage}.loss.csv" for stage in ("autoencoder", "detail", "decoder", "large", "small", "distilled")}
    assert logs | {"large.2.png", "small.2.png", "distilled.2.png"} <= names


def test_a_finished_training_is_not_run_again(trained):
    folder, models = trained
    before = (folder / "large.loss.csv").read_bytes()
    assert train_models(RECIPE, folder, Progress(disable=True)) == models
    assert (folder / "large.loss.csv").read_bytes() == before
