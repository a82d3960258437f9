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


COMPONENTS = {
    "sdxl-h800": ("StableDiffusionXL", ["CLIP_SDXL_1", "CLIP_SDXL_2"], "StableDiffusionXLVAE"),
    "sd15-h800": ("StableDiffusion15", ["CLIP_SD15"], "StableDiffusion15VAE"),
    "sd3-h800": ("StableDiffusion3", ["CLIP_L", "CLIP_G", "T5"], "StableDiffusion3VAE"),
    "sd35-large-h800": ("StableDiffusion35Large", ["CLIP_L", "CLIP_G", "T5"], "StableDiffusion35LargeVAE"),
    "flux-dev-h800": ("Flux1Dev", ["CLIP_Flux", "T5_Flux"], "Flux1VAE"),
    "flux-schnell-h800": ("Flux1Schnell", ["CLIP_Flux", "T5_Flux"], "Flux1VAE"),
}
h800 = pytest.mark.parametrize("name", COMPONENTS)


def executions(component, mode="default", *, column="latency_ms"):
    """One column by batch."""
    return {
        int(row["batch"]): float(row[column])
        for row in rows_of("diflow/execution_h800.csv")
        if (row["component"], row["mode"]) == (component, mode)
    }


@published
@h800
def test_encoding_and_decoding_on_an_h800_take_as_long_as_published(name):
    profile, (_, encoders, autoencoder) = builtin_profile(name), COMPONENTS[name]
    for count in (1, 2, 4, 8, 16, 32):
        published_ms = sum(executions(encoder)[count] for encoder in encoders)
        assert profile.prompts_s(count) == pytest.approx(published_ms / 1000, rel=1e-4)
    highest_ms = 0.0
    for count, milliseconds in executions(autoencoder, "decode_latents").items():
        highest_ms = max(highest_ms, milliseconds)
        decode_s = profile.decoding_s(width=profile.width, height=profile.height, pictures=count)
        assert decode_s == pytest.approx(highest_ms / 1000, rel=1e-4)


@published
@h800
def test_controlnets_on_an_h800_take_as_long_as_published(name):
    profile, component = builtin_profile(name), f"{COMPONENTS[name][0]}ControlNetCanny"
    known = {time.denoiser_rows: 1000 * time.seconds for time in profile.controlnet_times}
    assert known == pytest.approx(executions(component), rel=1e-4)


@published
@h800
def test_memory_and_loads_on_an_h800_are_as_published(name):
    profile, (denoiser, encoders, autoencoder) = builtin_profile(name), COMPONENTS[name]
    loads = {row["component"]: row for row in rows_of("diflow/loading_h800.csv")}
    parts = [loads[part] for part in (denoiser, *encoders, autoencoder)]
    weights_bytes = sum(float(part["weights_bytes"]) for part in parts)
    used = executions(denoiser, column="memory_bytes")
    assert profile.memory.weights_bytes == weights_bytes
    assert profile.memory.row_bytes == pytest.approx((used[8] - used[1]) / 7, abs=1)
    for tier, column in (("disk", "disk_to_host_s"), ("host", "host_to_gpu_s")):
        seconds = sum(float(part[column]) for part in parts)
        assert getattr(profile.model_loads, tier).seconds(weights_bytes) == pytest.approx(seconds, rel=1e-3)


@pytest.mark.parametrize(
    ("light", "fids"),
    [
        ("sd-turbo-a100", (18.55, 17.85, 17.33, 16.98, 16.79, 16.95, 17.26, 17.95, 18.86, 20.17, 22.77)),
        ("sdxs-a100", (18.55, 17.68, 17.08, 16.97, 17.13, 17.58, 18.21, 19.23, 20.54, 22.34, 24.86)),
        ("sdxl-lightning-a100", (23.31, 23.14, 23.27, 23.67, 24.42, 25.33, 26.34, 27.53, 29.27, 31.01, 33.27)),
    ],
)
def test_the_quality_of_mixes_is_that_of_diffserve(light, fids):
    assert builtin_profile(light).mix_quality == tuple((share / 10, fid) for share, fid in enumerate(fids))


def test_dlora_counts_27_ms_for_an_unmerged_iteration_whatever_its_batch():
    profile = builtin_profile("llama-2-7b-dlora")
    calls = {rows: profile.tick_s(rows, width=1, height=1) for rows in (1, 7, 16)}
    assert set(calls.values()) == {0.015}
    assert calls[16] * (1 + profile.adapter_costs.unmerged_overhead) == pytest.approx(0.027)
    assert 1 / profile.loads.host.s_per_byte == pytest.approx(32 * 2**30, rel=1e-4)
