"""Profiles that come with the package, against the published files where these are at hand."""

import csv
from pathlib import Path

import pytest

from safelight.core.errors import ProfileError
from safelight.profiles.builtin import builtin_names, builtin_profile, production_loads
from safelight.profiles.profile import Profile

PUBLISHED = Path(__file__).parents[3] / "shared" / "data"
published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published files are not here")


def rows_of(path):
    with (PUBLISHED / path).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", builtin_names())
def test_a_built_in_profile_says_where_it_comes_from_and_does_not_extrapolate(name):
    profile = builtin_profile(name)
    assert profile.source
    assert not profile.extrapolates


@pytest.mark.parametrize("name", builtin_names())
def test_a_built_in_profile_reads_back_from_its_text(name):
    assert Profile.from_toml(builtin_profile(name).to_toml()) == builtin_profile(name)


def test_an_unknown_profile_is_refused_with_the_nearest_one():
    with pytest.raises(ProfileError, match=r"No built-in profile is called 'sdxl-h80'.*sdxl-h800"):
        builtin_profile("sdxl-h80")


@published
@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("sdxl-h800", "StableDiffusionXL"),
        ("sd15-h800", "StableDiffusion15"),
        ("sd3-h800", "StableDiffusion3"),
        ("sd35-large-h800", "StableDiffusion35Large"),
        ("flux-dev-h800", "Flux1Dev"),
        ("flux-schnell-h800", "Flux1Schnell"),
    ],
)
def test_calls_on_an_h800_take_as_long_as_published(name, component):
    profile = builtin_profile(name)
    for row in rows_of("diflow/execution_h800.csv"):
        if (row["component"], row["mode"]) == (component, "default"):
            seconds = profile.tick_s(int(row["batch"]), width=profile.width, height=profile.height)
            assert seconds == pytest.approx(float(row["latency_ms"]) / 1000, rel=1e-4)


@published
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("sd-turbo-a100", "SD-Turbo"),
        ("sdxs-a100", "SDXS-512-0.9"),
        ("sd-1.5-a100", "SD-v1.5"),
        ("sdxl-lightning-a100", "SDXL-Lightning"),
        ("sdxl-a100", "SDXL-base-1.0"),
    ],
)
def test_pictures_on_an_a100_take_as_long_as_published(name, model):
    profile = builtin_profile(name)
    for row in rows_of("diffserve/latency_profiles.csv"):
        if row["model"] == model:
            call_s = profile.tick_s(int(row["batch"]), width=profile.width, height=profile.height)
            assert call_s * int(row["steps"]) == pytest.approx(float(row["latency_ms"]) / 1000, rel=1e-4)


@published
def test_the_deferral_curve_of_sd_turbo_is_that_of_its_published_confidences():
    scores = [float(line) for line in (PUBLISHED / "diffserve/confidence_sdturbo.txt").read_text().split()]
    means = [1 - sum(scores[place : place + 4]) / 4 for place in range(0, len(scores), 4)]
    for threshold, share in builtin_profile("sd-turbo-a100").deferral[1:]:
        assert sum(mean < threshold for mean in means) / len(means) == pytest.approx(share, abs=0.01)


@published
@pytest.mark.parametrize("kind", ["base_model", "lora", "controlnet"])
def test_production_loads_have_the_published_quantiles(kind):
    known = {float(row["quantile"]): float(row["value_ms"]) / 1000 for row in rows_of(f"gentd26/{kind}_load_ms.csv")}
    for quantile, seconds in getattr(production_loads(), kind):
        assert seconds == pytest.approx(known[quantile])


def test_quality_falls_with_the_steps_that_argus_skips():
    profile = builtin_profile("sdxl-argus")
    qualities = [profile.quality_of(steps=50, first_step=skipped) for skipped in (0, 5, 10, 15, 20, 25)]
    assert qualities == sorted(qualities, reverse=True)
    assert profile.quality_of(steps=30) is None
