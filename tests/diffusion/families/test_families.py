"""Every family paints what diffusers paints, and each row as if it were alone."""

import numpy as np
import pytest

from diffusion.families.test_parity import LARGEST_DIFFERENCE, largest_difference, open_pipeline
from diffusion.tiny_families import MADE
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.families.registry import FAMILIES, family_of
from safelight.diffusion.paint import paint

ONE_BYTE = 1
VISIBLE = 8
"""Of 255: far more than parity allows."""


@pytest.fixture(scope="module")
def shelf():
    """Models that are open, by name: opening one means measuring it."""
    return {}


@pytest.fixture(params=MADE, ids=lambda made: made.name)
def model(request, shelf, tmp_path_factory):
    made = request.param
    if made.name not in shelf:
        folder = made.write(tmp_path_factory.mktemp("models") / made.name)
        shelf[made.name] = made, folder, DiffusionEngine.load([folder], max_denoiser_rows=1, lora_ranks=0)
    return shelf[made.name]


@pytest.fixture
def wish(model, ask):
    made, _, _ = model

    def make(request_id="row", **fields):
        defaults = {"width": 48, "height": 32, "steps": 6, "guidance_scale": 4.0, "prompt": "a large red circle"}
        return ask(request_id, **(defaults | {"model": made.name, "guidance": made.guidance} | fields))

    return make


def as_array(picture):
    return np.frombuffer(picture.rgb, np.uint8).astype(np.int16)


def painted(engine, *requests):
    return [as_array(picture) for picture in paint(engine, requests)]


def comparable():
    """Every family with each sampler that diffusers has for it, without guidance, with, and with a negative prompt."""
    for made in MADE:
        for sampler in made.peers:
            for guidance_scale in (1.0, 4.0):
                yield made, sampler, guidance_scale, ""
            if made.guidance == "classifier-free":
                yield made, sampler, 4.0, "a small blue star"


@pytest.mark.parametrize(
    ("model", "sampler", "guidance_scale", "negative_prompt"),
    list(comparable()),
    indirect=["model"],
    ids=lambda value: getattr(value, "name", None),
)
def test_it_paints_what_it_paints_in_diffusers(model, wish, sampler, guidance_scale, negative_prompt):
    made, folder, engine = model
    pipeline = open_pipeline(folder)
    pipeline.scheduler = made.peers[sampler](pipeline.scheduler.config)
    request = wish(sampler=sampler, guidance_scale=guidance_scale, negative_prompt=negative_prompt)
    assert largest_difference(pipeline, engine, request) <= LARGEST_DIFFERENCE


def test_every_family_has_a_model_here(tmp_path):
    present = {family_of(made.write(tmp_path / made.name)).name for made in MADE}
    assert present == {family.name for family in FAMILIES}


def test_the_prompt_shows(model, wish):
    engine = model[2]
    first, second = painted(engine, wish("a"), wish("b", prompt="a small blue star on a green background"))
    assert np.abs(first - second).max() > VISIBLE


def test_guidance_shows_where_there_is_any(model, wish):
    made, _, engine = model
    weak, strong = painted(engine, wish("a", guidance_scale=1.5), wish("b", guidance_scale=6.0))
    assert (np.abs(weak - strong).max() > VISIBLE) == (made.guidance != "none")


def test_a_row_is_painted_alike_alone_and_in_company(model, wish):
    engine = model[2]
    mine = wish("mine", sampler="dpm++2m", steps=5)
    others = [
        wish("early", seed=1, steps=3, sampler="euler", guidance_scale=1.0),
        wish("late", seed=2, steps=9, prompt="a small blue star", guidance_scale=2.0),
    ]
    alone = painted(engine, mine)[0]
    engine.begin(others)
    for _ in range(2):
        engine.step(["early", "late"])
    engine.begin([mine])
    engine.step(["early", "late", "mine"])
    engine.drop("early")
    for _ in range(4):
        engine.step(["late", "mine"])
    among = as_array(engine.finish(["mine"])[0])
    engine.drop("late")
    assert np.abs(alone - among).max() <= ONE_BYTE
