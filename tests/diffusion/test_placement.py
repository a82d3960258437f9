"""Other precisions give nearly the same picture, and nothing of a step is computed beside the device."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion.families.test_parity import MODELS
from diffusion.jobs import handle
from diffusion.makers import write_controlnet
from diffusion.tiny_families import MADE
from safelight.core.adapter import ControlNetUse, LoraUse
from safelight.core.errors import PlacementError
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.families.registry import family_of
from safelight.diffusion.loading import LoadedModel, load_model
from safelight.diffusion.paint import paint
from safelight.diffusion.placement import DTYPES, Placement, find_placement
from safelight.diffusion.rows import levels_now
from safelight.diffusion.stepping import _predict, _walk

pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")

WIDTH, HEIGHT, STEPS = 48, 32, 2
META = Placement(device=torch.device("meta"))
"""A device without numbers: whatever is computed there with what lies elsewhere is an error."""

NEAR = {torch.bfloat16: 6.0, torch.float16: 2.0}
"""Levels of 255, on the mean, that a picture is off by; networks of random weights amplify what is rounded."""


def as_array(picture):
    return np.frombuffer(picture.rgb, np.uint8).astype(float)


def on_cpu(dtype):
    return Placement(device=torch.device("cpu"), dtype=dtype)


@pytest.fixture(scope="module")
def drawing():
    levels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return Pixels(width=WIDTH, height=HEIGHT, rgb=levels.tobytes())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A model folder of each family, and a ControlNet for it."""
    written = {}

    def find(made):
        if made.name not in written:
            folder = made.write(tmp_path_factory.mktemp(made.name) / "random")
            written[made.name] = folder, write_controlnet(folder.parent / "control", folder)
        return written[made.name]

    return find


@pytest.fixture
def wish(ask, drawing):
    def make(made, **fields):
        return ask(
            "row",
            model="random",
            prompt="a large red circle",
            width=WIDTH,
            height=HEIGHT,
            steps=STEPS,
            guidance=made.guidance,
            guidance_scale=0.0 if made.guidance == "none" else 3.0,
            controlnets=(ControlNetUse(name="control", scale=0.3, image=drawing),),
            **fields,
        )

    return make


LOWER = [(made, torch.bfloat16) for made in MADE] + [(MADE[0], torch.float16)]


@pytest.mark.parametrize(("made", "dtype"), LOWER, ids=lambda given: getattr(given, "name", str(given)))
def test_a_lower_precision_gives_nearly_the_same_picture(shelf, wish, made, dtype, drawing):
    folder, control = shelf(made)
    pictures = []
    for precision in (torch.float32, dtype):
        engine = DiffusionEngine.load([folder], placement=on_cpu(precision), max_denoiser_rows=1, lora_ranks=0)
        engine.load_adapter(handle("control"), engine.read_adapter("control", control)[1])
        job = wish(made, source=PictureSource(image=drawing), first_step=1)
        pictures.append(as_array(paint(engine, [job])[0]))
    assert np.abs(pictures[0] - pictures[1]).mean() <= NEAR[dtype]


def test_so_it_does_with_loras_beside_the_weights_and_in_them(ask):
    pictures = {}
    for dtype in (torch.float32, torch.bfloat16):
        engine = DiffusionEngine.load([MODELS / "shapes-large"], placement=on_cpu(dtype), max_denoiser_rows=1)
        engine.load_adapter(handle("rose"), engine.read_adapter("rose", MODELS / "adapters" / "rose")[1])
        job = ask("row", loras=(LoraUse(name="rose", scale=1.0),))
        beside = as_array(paint(engine, [job])[0])
        engine.fold("shapes-large", job.composition)
        pictures[dtype] = beside, as_array(paint(engine, [job])[0])
    for exact, rounded in zip(*pictures.values(), strict=True):
        assert np.abs(exact - rounded).mean() <= NEAR[torch.bfloat16]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_nothing_of_a_step_is_computed_beside_the_device(shelf, wish, made):
    folder, control = shelf(made)
    known = load_model(folder, max_denoiser_rows=1, lora_ranks=0)
    family = family_of(folder).load(folder, placement=META)
    model: LoadedModel = replace(known, family=family, placement=META, unprompted=family.encode([None])[0])
    engine = DiffusionEngine([model])
    engine.load_adapter(handle("control"), engine.read_adapter("control", control)[1])
    engine.begin([wish(made)])
    rows = list(engine._rows.values())
    latents = torch.stack([row.latent for row in rows])
    now = levels_now(rows)
    with torch.inference_mode():
        x0 = family.estimate_x0(latents, _predict(model, rows, latents), now.alpha, now.sigma)
        following = _walk(rows, latents, x0, now)
    assert (following.device, following.shape) == (META.device, latents.shape)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_precision_is_found_by_its_name(dtype):
    assert find_placement("cpu", dtype) == on_cpu(DTYPES[dtype])


def test_the_cpu_computes_in_single_precision_unless_told():
    assert find_placement("cpu", "auto") == on_cpu(torch.float32)


@pytest.mark.parametrize(
    ("device", "dtype", "words"),
    [("gpu", "auto", "no device 'gpu'"), ("cuda:99", "auto", "no device 'cuda:99'"), ("cpu", "bf16", "'bfloat16'")],
)
def test_what_is_not_to_be_had_is_refused_by_name(device, dtype, words):
    with pytest.raises(PlacementError, match=words):
        find_placement(device, dtype)
