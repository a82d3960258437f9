"""Pictures of different sizes in one denoiser call."""

from functools import partial

import numpy as np
import pytest
import torch

from diffusion.makers import write_flux, write_stable_diffusion, write_stable_diffusion_3
from diffusion.test_engine import ONE_BYTE, paint_joining
from safelight.diffusion.families.registry import family_of
from safelight.diffusion.placement import ON_CPU
from safelight.diffusion.samplers.registry import SAMPLERS

SIZES = ((48, 48), (64, 64), (96, 64))


@pytest.fixture
def sizes(ask):
    """Two jobs of each size, guided or not, by different samplers."""
    return [
        ask(
            f"{width}x{height}-{guidance}",
            prompt=f"a {colour} star",
            width=width,
            height=height,
            seed=width + height,
            guidance_scale=guidance,
            sampler=SAMPLERS[place % len(SAMPLERS)].name,
            steps=6 + place,
        )
        for place, (width, height) in enumerate(SIZES)
        for guidance, colour in ((1.0, "red"), (4.0, "blue"))
    ]


def test_a_picture_does_not_depend_on_other_sizes_in_its_calls(engine, sizes):
    together = paint_joining(engine, {0: sizes[:3], 2: sizes[3:]})
    for job in sizes:
        alone = paint_joining(engine, {0: [job]})[job.id]
        assert np.abs(together[job.id] - alone).max() <= ONE_BYTE


def test_pictures_of_several_sizes_are_decoded_together_in_their_order(engine, ask):
    jobs = [ask(str(place), width=width, height=64, steps=1) for place, width in enumerate((96, 64, 96, 48))]
    engine.begin(jobs)
    ids = [job.id for job in jobs]
    engine.step(ids)
    assert [picture.width for picture in engine.finish(ids)] == [96, 64, 96, 48]


@pytest.mark.parametrize(
    ("write", "mixes"),
    [
        pytest.param(partial(write_stable_diffusion_3, is_3_5=False), True, id="sd3"),
        pytest.param(write_stable_diffusion_3, False, id="sd3.5-medium"),
        pytest.param(write_stable_diffusion, False, id="sd"),
        pytest.param(write_flux, False, id="flux"),
    ],
)
def test_a_family_says_whether_it_mixes_sizes(write, mixes, tmp_path):
    assert family_of(write(tmp_path / "model")).load(tmp_path / "model", placement=ON_CPU).mixes_sizes == mixes


@torch.inference_mode()
@pytest.mark.parametrize("has_t5", [True, False])
def test_predictions_of_mixed_sizes_are_those_of_each_size_alone(has_t5, tmp_path):
    folder = write_stable_diffusion_3(tmp_path / "model", has_t5=has_t5, is_3_5=False)
    family = family_of(folder).load(folder, placement=ON_CPU)
    conditioning = family.encode(["a red circle", "a blue star"])
    multiple = family.size_multiple
    groups = [torch.randn(2, *family.latent_shape(side * multiple, 2 * multiple)) for side in (1, 2, 3)]
    times = torch.tensor([900.0, 500.0, 300.0, 700.0, 100.0, 50.0])
    mixed = family.denoise_mixed(groups, times, conditioning * 3)
    for place, latents in enumerate(groups):
        alone = family.denoise(latents, times[2 * place : 2 * place + 2], conditioning, torch.ones(2))
        torch.testing.assert_close(mixed[place], alone, rtol=1e-4, atol=1e-4)
