"""diffusers' own pipelines are the oracle: same weights, seed and sampler, same picture."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler

import safelight
from diffusion.makers import write_stable_diffusion
from diffusion.tiny_families import DIFFUSION_PEERS, FLOW_PEERS
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import paint

MODELS = Path(safelight.__file__).parent / "models"
LARGEST_DIFFERENCE = 2e-3


def open_pipeline(folder: Path) -> DiffusionPipeline:
    index = json.loads((folder / "model_index.json").read_text())
    absent = {part: None for part, named in index.items() if named == [None, None]}
    loaded = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, **absent)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def largest_difference(pipeline, engine, job) -> float:
    """Return how far the engine's picture of `job` is from the pipeline's, on [0, 1]."""
    wanted = pipeline(
        job.request.prompt,
        negative_prompt=job.request.negative_prompt or None,
        width=job.request.width,
        height=job.request.height,
        num_inference_steps=job.level.steps,
        guidance_scale=job.level.guidance_scale,
        generator=torch.Generator().manual_seed(job.request.seed),
        output_type="np",
    ).images[0]
    picture = paint(engine, [job])[0]
    ours = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3) / 255
    return float(np.abs(ours - wanted).max())


@pytest.fixture(scope="module", params=["shapes-large", "shapes-small"])
def shipped(request):
    return request.param, open_pipeline(MODELS / request.param)


@pytest.mark.parametrize("steps", [6, 25])
@pytest.mark.parametrize("sampler", FLOW_PEERS)
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_a_shipped_model_paints_what_it_paints_in_diffusers(engine, ask, shipped, sampler, steps, guidance_scale):
    name, pipeline = shipped
    pipeline.scheduler = FLOW_PEERS[sampler](pipeline.scheduler.config | {"shift": 1.0})
    job = ask(
        "row",
        model=name,
        prompt="a large red circle left of a small blue star",
        negative_prompt="a gray background",
        steps=steps,
        guidance_scale=guidance_scale,
        sampler=sampler,
        seed=11,
    )
    assert largest_difference(pipeline, engine, job) <= LARGEST_DIFFERENCE


def test_so_it_does_at_another_size(engine, ask, shipped):
    name, pipeline = shipped
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
    job = ask("row", model=name, width=96, height=80, steps=4, sampler="euler")
    assert largest_difference(pipeline, engine, job) <= LARGEST_DIFFERENCE


def test_a_stock_pipeline_paints_free_text(shipped):
    _, pipeline = shipped
    picture = pipeline("Please draw a RED circle!", num_inference_steps=2, guidance_scale=1.0).images[0]
    assert picture.size == (64, 64)


@pytest.fixture(
    scope="module",
    params=[
        {"timestep_spacing": "leading"},
        {"timestep_spacing": "linspace"},
        {"timestep_spacing": "trailing"},
        {"timestep_spacing": "trailing", "prediction_type": "v_prediction"},
    ],
    ids=lambda config: "-".join(config.values()),
)
def stable_diffusion(request, tmp_path_factory):
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "random", **request.param)


@pytest.mark.parametrize("sampler", DIFFUSION_PEERS)
def test_stable_diffusion_matches_whatever_the_spacing_and_prediction(stable_diffusion, ask, sampler):
    pipeline = open_pipeline(stable_diffusion)
    pipeline.scheduler = DIFFUSION_PEERS[sampler](pipeline.scheduler.config)
    job = ask(
        "row",
        model="random",
        prompt="a red circle",
        width=32,
        height=32,
        steps=10,
        guidance_scale=4.0,
        sampler=sampler,
        seed=3,
    )
    assert largest_difference(pipeline, DiffusionEngine.load([stable_diffusion]), job) <= LARGEST_DIFFERENCE
