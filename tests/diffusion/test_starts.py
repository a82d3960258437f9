"""Pictures that start from pictures: diffusers' image-to-image and inpainting pipelines are the oracle."""

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting
from PIL import Image

from diffusion.families.test_parity import LARGEST_DIFFERENCE, MODELS, open_pipeline
from diffusion.tiny_families import DIFFUSION_PEERS, MADE
from safelight.core.pixels import Pixels
from safelight.core.source import KEPT, PAINTED, PictureSource
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import paint

SIDE = 32
STEPS, FIRST_STEP = 8, 4
"""So that every family's pipeline counts as many steps for a strength of a half."""

SLIGHT, VISIBLE = 8, 60
"""Levels of 255 by which a pixel differs."""

FEW = 0.02
"""Of all pixels."""


def as_array(picture: Pixels):
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)


def pixels(array) -> Pixels:
    return Pixels(width=array.shape[1], height=array.shape[0], rgb=array.tobytes())


@pytest.fixture(scope="module")
def source():
    """A picture with something in it."""
    luck = np.random.default_rng(0)
    return np.kron(luck.integers(0, 256, (4, 4, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


@pytest.fixture(scope="module")
def mask():
    """Its right half, and a corner that is no multiple of anything."""
    levels = np.full((SIDE, SIDE), KEPT, np.uint8)
    levels[:, SIDE // 2 :] = PAINTED
    levels[:7, :5] = PAINTED
    return levels


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Models that are open, by name: opening one means measuring it."""
    opened = {}

    def find(made):
        if made.name not in opened:
            folder = made.write(tmp_path_factory.mktemp(made.name) / "random")
            engine = DiffusionEngine.load([folder], max_denoiser_rows=1, lora_ranks=0)
            opened[made.name] = open_pipeline(folder), engine
        return opened[made.name]

    return find


def comparable():
    """Every family with each sampler that diffusers can start from a picture."""
    for made in MADE:
        for sampler in made.peers if made.peers is DIFFUSION_PEERS else ("euler",):
            yield pytest.param(made, sampler, id=f"{made.name}-{sampler}")


def wish(ask, made, sampler, **fields):
    return ask(
        "row",
        model="random",
        prompt="a red circle",
        width=SIDE,
        height=SIDE,
        steps=STEPS,
        guidance_scale=0.0 if made.guidance == "none" else 4.0,
        guidance=made.guidance,
        sampler=sampler,
        seed=3,
        **fields,
    )


def difference(pipeline, engine, job, source, **extra):
    """Return how far the engine's picture is from the pipeline's, on [0, 1]."""
    wanted = pipeline(
        prompt=job.request.prompt,
        image=Image.fromarray(source),
        strength=1 - job.level.first_step / job.level.steps,
        width=job.request.width,
        height=job.request.height,
        num_inference_steps=job.level.steps,
        guidance_scale=job.level.guidance_scale,
        generator=torch.Generator().manual_seed(job.request.seed),
        output_type="np",
        **extra,
    ).images[0]
    return float(np.abs(as_array(paint(engine, [job])[0]) / 255 - wanted).max())


@pytest.mark.parametrize(("made", "sampler"), list(comparable()))
def test_a_picture_from_a_picture_is_the_one_that_diffusers_paints(shelf, ask, source, made, sampler):
    pipeline, engine = shelf(made)
    pipeline.scheduler = made.peers[sampler](pipeline.scheduler.config)
    peer = AutoPipelineForImage2Image.from_pipe(pipeline)
    peer.set_progress_bar_config(disable=True)
    job = wish(ask, made, sampler, source=PictureSource(image=pixels(source)), first_step=FIRST_STEP)
    assert difference(peer, engine, job, source) <= LARGEST_DIFFERENCE


def inpainting(pipeline):
    peer = AutoPipelineForInpainting.from_pipe(pipeline)
    peer.set_progress_bar_config(disable=True)
    return peer


@pytest.mark.parametrize("first_step", [0, FIRST_STEP])
@pytest.mark.parametrize("made", [made for made in MADE if not made.name.startswith("sd3")], ids=lambda made: made.name)
def test_an_inpainted_picture_is_the_one_that_diffusers_paints(shelf, ask, source, mask, made, first_step):
    pipeline, engine = shelf(made)
    pipeline.scheduler = made.peers["euler"](pipeline.scheduler.config)
    kept = PictureSource(image=pixels(source), mask=mask.tobytes())
    job = wish(ask, made, "euler", source=kept, first_step=first_step)
    peer = inpainting(pipeline)
    assert difference(peer, engine, job, source, mask_image=Image.fromarray(mask)) <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("first_step", [0, FIRST_STEP])
def test_so_it_is_by_stable_diffusion_3_whose_pipeline_wants_sixteen_channels(engine, ask, source, mask, first_step):
    source, mask = (np.kron(array, np.ones((2, 2, *(1,) * (array.ndim - 2)), np.uint8)) for array in (source, mask))
    kept = PictureSource(image=pixels(source), mask=mask.tobytes())
    job = ask("row", steps=STEPS, source=kept, first_step=first_step)
    peer = inpainting(open_pipeline(MODELS / "shapes-large"))
    assert difference(peer, engine, job, source, mask_image=Image.fromarray(mask)) <= LARGEST_DIFFERENCE


def test_what_a_mask_keeps_is_kept_and_what_it_does_not_is_painted_anew(engine, ask):
    scene = paint(engine, [ask("scene", prompt="a large red circle left of a small green square", steps=25)])[0]
    levels = np.full((64, 64), PAINTED, np.uint8)
    levels[:, :32] = KEPT
    kept = PictureSource(image=scene, mask=levels.tobytes())
    prompt = "a large red circle left of a small blue star"
    picture = paint(engine, [ask("row", prompt=prompt, steps=25, source=kept)])[0]
    change = np.abs(as_array(scene).astype(int) - as_array(picture)).max(axis=2)
    assert np.median(change[:, :24]) < SLIGHT
    assert (change[:, :24] > VISIBLE).mean() < FEW < (change[:, 32:] > VISIBLE).mean()
