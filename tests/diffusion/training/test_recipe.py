"""The whole course of training, in miniature."""

import pytest
from rich.progress import Progress

from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.training.course import train
from safelight.diffusion.training.fit import Course
from safelight.diffusion.training.recipe import Recipe


def short(name: str) -> Course:
    return Course(name=name, steps=2, warmup_steps=1, checkpoint_every=1, milestone_every=2)


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
def course(tmp_path_factory):
    """A folder in which a very short course has been run, and the model folders that it made."""
    folder = tmp_path_factory.mktemp("course")
    return folder, train(RECIPE, folder, Progress(disable=True))


def test_the_course_ends_with_models_that_can_be_served(course):
    _, models = course
    assert [spec.name for spec in DiffusionEngine.load(models).models] == ["shapes-large", "shapes-small"]


def test_every_stage_leaves_a_loss_log_and_every_model_a_sheet(course):
    folder, _ = course
    names = {file.name for file in folder.iterdir()}
    logs = {f"{stage}.loss.csv" for stage in ("autoencoder", "detail", "decoder", "large", "small", "distilled")}
    assert logs | {"large.2.png", "small.2.png", "distilled.2.png"} <= names


def test_a_finished_course_is_not_run_again(course):
    folder, models = course
    before = (folder / "large.loss.csv").read_bytes()
    assert train(RECIPE, folder, Progress(disable=True)) == models
    assert (folder / "large.loss.csv").read_bytes() == before
