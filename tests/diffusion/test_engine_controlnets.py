"""ControlNets in the engine: what a control picture shows is where objects land, whoever shares the batch."""

from pathlib import Path

import numpy as np
import pytest

import safelight
from diffusion.jobs import but, handle
from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.pixels import Pixels
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job, paint
from safelight.shapes.caption import caption_of
from safelight.shapes.controls import CONTROLS, centre_distance
from safelight.shapes.sampling import draw_scene

MODELS = Path(safelight.__file__).parent / "models"
SCENES = 6
STEPS = 12
FARTHEST = 4.0
"""Pixels, on the mean, between where an object is and where its control picture has it."""

ONE_BYTE = 1


def as_array(picture):
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)


def control(name, picture, scale=1.0):
    height, width, _ = picture.shape
    return ControlNetUse(name=name, scale=scale, image=Pixels(width=width, height=height, rgb=picture.tobytes()))


@pytest.fixture(scope="module")
def painter():
    """The large model with its ControlNets and one LoRA beside it."""
    engine = DiffusionEngine.load([MODELS / "shapes-large"], max_denoiser_rows=1)
    for name in (*CONTROLS, "rose"):
        engine.load_adapter(handle(name), engine.read_adapter(name, MODELS / "adapters" / name)[1])
    return engine


@pytest.fixture(scope="module")
def scenes():
    luck = np.random.default_rng(3)
    return [draw_scene(luck, objects=1 + number % 2) for number in range(SCENES)]


def wishes(engine, scenes, **fields):
    """Return a job for each scene's caption; fields are functions of the scene."""
    made = []
    for number, scene in enumerate(scenes):
        job = make_job(engine.models, caption_of(scene.description), model="shapes-large", seed=number)
        told = {name: field(scene) for name, field in fields.items()}
        made.append(but(job, id=f"row-{number}", steps=STEPS, **told))
    return made


def misplaced(kind, scenes, pictures):
    pairs = zip(scenes, pictures, strict=True)
    return np.mean([centre_distance(CONTROLS[kind](scene), as_array(picture)) for scene, picture in pairs])


@pytest.mark.parametrize("kind", sorted(CONTROLS))
def test_objects_land_where_the_control_picture_has_them(painter, scenes, kind):
    steered = paint(painter, wishes(painter, scenes, controlnets=lambda scene: (control(kind, CONTROLS[kind](scene)),)))
    assert misplaced(kind, scenes, steered) <= FARTHEST
    assert misplaced(kind, scenes, paint(painter, wishes(painter, scenes))) > FARTHEST


def test_a_row_is_painted_alike_alone_and_among_others_with_other_adapters(painter, scenes):
    both = tuple(control(kind, CONTROLS[kind](scenes[0])) for kind in sorted(CONTROLS))
    mask = (control("mask", CONTROLS["mask"](scenes[2]), 0.5),)
    plain = wishes(painter, scenes[:4])
    changes = ({"controlnets": both}, {}, {"controlnets": mask}, {"loras": (LoraUse(name="rose", scale=1.0),)})
    crowd = [but(row, **change) for row, change in zip(plain, changes, strict=True)]
    mine = crowd[0]
    alone = as_array(paint(painter, [mine])[0]).astype(int)
    among = as_array(paint(painter, crowd)[0]).astype(int)
    assert np.abs(alone - among).max() <= ONE_BYTE


def test_a_scale_of_nothing_changes_nothing(painter, scenes):
    plain = paint(painter, wishes(painter, scenes[:1]))[0]
    unmoved = wishes(painter, scenes[:1], controlnets=lambda scene: (control("edges", CONTROLS["edges"](scene), 0.0),))
    assert np.abs(as_array(plain).astype(int) - as_array(paint(painter, unmoved)[0]).astype(int)).max() <= ONE_BYTE


def test_an_adapter_tells_its_kind(painter):
    kinds = {name: painter.read_adapter(name, MODELS / "adapters" / name)[0].kind for name in ("edges", "rose")}
    assert kinds == {"edges": "controlnet", "rose": "lora"}
