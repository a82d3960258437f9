"""diffusers' own pipeline is the oracle: same weights, seed and sampler, same picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
)

import safelight
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import paint
from safelight.diffusion.training.nets import make_small_denoiser

PEERS = {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler, "dpm++2m": DPMSolverMultistepScheduler}
MODELS = Path(safelight.__file__).parent / "models"
LARGEST_DIFFERENCE = 2e-3


@pytest.fixture(scope="module", params=["shapes-large", "shapes-small"])
def pipeline(request):
    loaded = StableDiffusionPipeline.from_pretrained(MODELS / request.param, dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    loaded.served_name = request.param
    return loaded


@pytest.mark.parametrize("steps", [6, 25])
@pytest.mark.parametrize("sampler", PEERS)
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_the_picture_is_the_one_that_diffusers_makes(engine, ask, pipeline, sampler, steps, guidance_scale):
    prompt, negative = "a large red circle left of a small blue star", "a gray background"
    pipeline.scheduler = PEERS[sampler].from_config(pipeline.scheduler.config)
    wanted = pipeline(
        prompt,
        negative_prompt=negative,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(11),
        output_type="np",
    ).images[0]
    request = ask(
        "row",
        model=pipeline.served_name,
        prompt=prompt,
        negative_prompt=negative,
        steps=steps,
        guidance_scale=guidance_scale,
        sampler=sampler,
        seed=11,
    )
    picture = paint(engine, [request])[0]
    ours = np.frombuffer(picture.rgb, np.uint8).reshape(64, 64, 3) / 255
    assert np.abs(ours - wanted).max() <= LARGEST_DIFFERENCE


def test_a_stock_pipeline_paints_free_text(pipeline):
    picture = pipeline("Please draw a RED circle!", num_inference_steps=2, guidance_scale=1.0).images[0]
    assert picture.size == (64, 64)


@pytest.fixture(scope="module", params=["leading", "linspace", "trailing"])
def noise_predicting_folder(request, tmp_path_factory):
    """A model with random weights, set up as Stable Diffusion 1.x is."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "noise-predicting"
    parts = StableDiffusionPipeline.from_pretrained(MODELS / "shapes-small", dtype=torch.float32).components
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing=request.param,
    )
    parts |= {"unet": make_small_denoiser(), "scheduler": scheduler}
    StableDiffusionPipeline(**parts, requires_safety_checker=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("sampler", PEERS)
def test_a_model_that_predicts_noise_matches_whatever_the_spacing(noise_predicting_folder, ask, sampler):
    pipeline = StableDiffusionPipeline.from_pretrained(noise_predicting_folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = PEERS[sampler].from_config(pipeline.scheduler.config)
    wanted = pipeline(
        "a red circle",
        num_inference_steps=10,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
    ).images[0]
    engine = DiffusionEngine.load([noise_predicting_folder])
    request = ask(
        "row",
        model="noise-predicting",
        prompt="a red circle",
        steps=10,
        guidance_scale=4.0,
        sampler=sampler,
        seed=3,
    )
    picture = paint(engine, [request])[0]
    ours = np.frombuffer(picture.rgb, np.uint8).reshape(64, 64, 3) / 255
    assert np.abs(ours - wanted).max() <= LARGEST_DIFFERENCE
