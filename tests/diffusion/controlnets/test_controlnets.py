"""ControlNets steer as they do in diffusers' own pipelines, each row by its own, in one call for all rows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import combinations, starmap

import numpy as np
import pytest
import torch
from diffusers import (
    FluxControlNetPipeline,
    SD3ControlNetModel,
    SD3Transformer2DModel,
    StableDiffusion3ControlNetPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
)
from PIL import Image
from safetensors.torch import load_file, save_file

from diffusion.families.test_parity import LARGEST_DIFFERENCE, MODELS, open_pipeline
from diffusion.jobs import handle
from diffusion.makers import CONTROLNETS, shout, write_controlnet
from diffusion.tiny_families import MADE
from safelight.core.errors import AdapterFileError
from safelight.core.pixels import Pixels
from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.controlnets.batch import RowControlNet, controlnet_residuals
from safelight.diffusion.controlnets.local import LocalControlNet
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.flux import FLUX
from safelight.diffusion.families.flux_transformer import pack
from safelight.diffusion.families.stable_diffusion import STABLE_DIFFUSION
from safelight.diffusion.families.stable_diffusion_3 import STABLE_DIFFUSION_3
from safelight.diffusion.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from safelight.diffusion.placement import ON_CPU
from safelight.diffusion.samplers.levels import NoiseLevels, PreviousStep
from safelight.diffusion.samplers.registry import samplers_by_name
from safelight.diffusion.training.controlnets import make_controlnet

# diffusers' class of ControlNets for FLUX calls another of its own by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")

WIDTH, HEIGHT = 48, 32
STEPS = 3
STRENGTH = 4.0
PROMPT = "a large red circle"
OTHER = "a small blue star"
CLOSE = 1e-4
VISIBLE = 0.02
CERTAIN = -30.0
"""An autoencoder's logarithmic variance at which the latents that diffusers draws are their mean."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, diffusers' pipeline with ControlNets for it, its own sampler, and what its ControlNets are like."""

    name: str
    family: type
    pipeline: type
    sampler: str
    config: Mapping[str, object] = field(default_factory=dict)

    @property
    def write(self):
        return next(made.write for made in MADE if made.name == self.name)


SD3_CASE = partial(Case, family=STABLE_DIFFUSION_3, pipeline=StableDiffusion3ControlNetPipeline, sampler="euler")
FLUX_CASE = partial(Case, family=FLUX, pipeline=FluxControlNetPipeline, sampler="euler")
CASES = (
    Case(name="sd", family=STABLE_DIFFUSION, pipeline=StableDiffusionControlNetPipeline, sampler="ddim"),
    Case(name="sdxl", family=STABLE_DIFFUSION_XL, pipeline=StableDiffusionXLControlNetPipeline, sampler="ddim"),
    SD3_CASE(name="sd3", config={"num_layers": 1, "force_zeros_for_pooled_projection": False}),
    SD3_CASE(name="sd3-without-t5"),
    FLUX_CASE(name="flux-dev"),
    FLUX_CASE(name="flux-schnell", config={"num_single_layers": 0}),
)
CASES_BY_NAME = {case.name: case for case in CASES}


class Model:
    """A model with two ControlNets, `a` and `b`."""

    def __init__(self, case, folder):
        self.case = case
        self.folder = case.write(folder / "model")
        self.family = case.family.load(self.folder, placement=ON_CPU)
        self.paths = {
            name: write_controlnet(folder / name, self.folder, seed=seed, **case.config)
            for seed, name in enumerate("ab")
        }
        self.nets = {name: self.load(path) for name, path in self.paths.items()}

    @cached_property
    def in_diffusers(self):
        parts = open_pipeline(self.folder)
        draw_the_mean(parts.vae)
        kind = CONTROLNETS[type(parts).__name__][1]
        return parts, {name: kind.from_pretrained(path, dtype=torch.float32) for name, path in self.paths.items()}

    def load(self, path):
        return LocalControlNet.load(path, self.family.controlnet_base, placement=ON_CPU)

    def misfit(self, folder, **config):
        return write_controlnet(folder, self.folder, **(self.case.config | config))

    def control(self, name, scale=1.0, seed=1):
        return RowControlNet(handle=handle(name), scale=scale, hint=self.family.controlnet_hint(picture(seed)))

    def noise(self, rows=1, seed=5):
        shape = self.family.latent_shape(WIDTH, HEIGHT)
        return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(seed))

    def predict(self, latents, times, prompts, uses, nets=None):
        call = {
            "latents": latents,
            "times": times,
            "conditionings": encoded(self.family, *prompts),
            "guidance": torch.full((len(prompts),), STRENGTH),
        }
        residuals = controlnet_residuals(by_handle(nets or self.nets), self.family.controlnet_base, uses=uses, **call)
        return self.family.denoise(**call, residuals=residuals)


def by_handle(nets):
    return {handle(name): net for name, net in nets.items()}


@cache
def encoded(family, *prompts):
    return family.encode(prompts)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def model(request, models):
    return models(request.param.name)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    @cache
    def make(name):
        with torch.inference_mode():
            return Model(CASES_BY_NAME[name], tmp_path_factory.mktemp(name))

    return make


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def picture(seed, width=WIDTH, height=HEIGHT):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Pixels(width=width, height=height, rgb=pixels.tobytes())


def walk(model, noise, controls):
    """Return the latents at the end of a run, by the family's own schedule, with guidance where there is any."""
    schedule = model.family.schedule(sampler=model.case.sampler, steps=STEPS, width=WIDTH, height=HEIGHT)
    prompts = [PROMPT, None] if model.family.guidance == "classifier-free" else [PROMPT]
    latents = schedule.first_scale * noise
    for step in range(STEPS):
        rows, times = latents.expand(len(prompts), -1, -1, -1), schedule.times[step].expand(len(prompts))
        prediction = model.predict(rows, times, prompts, [controls] * len(prompts))
        if len(prompts) > 1:
            wanted, unwanted = prediction.split(1)
            prediction = unwanted + STRENGTH * (wanted - unwanted)
        now = NoiseLevels(alpha=schedule.alpha[step], sigma=schedule.sigma[step])
        after = NoiseLevels(alpha=schedule.alpha_after[step], sigma=schedule.sigma_after[step])
        x0 = model.family.estimate_x0(latents, prediction, now.alpha, now.sigma)
        latents = samplers_by_name()[model.case.sampler].step(latents, x0, now, after, PreviousStep(x0=x0, levels=now))
    return latents


def walk_in_diffusers(model, noise, controls):
    """Return what diffusers' pipeline makes of the same; `controls` are (name, scale, seed of the picture)."""
    parts, nets = model.in_diffusers
    names, scales, seeds = zip(*controls, strict=True)
    mine, images = [nets[name] for name in names], [as_image(picture(seed)) for seed in seeds]
    is_flux, is_sd = model.case.family is FLUX, model.case.family is STABLE_DIFFUSION
    extra = {"requires_safety_checker": False} if is_sd else {}
    pipeline = model.case.pipeline(**parts.components, controlnet=mine[0] if len(mine) == 1 else mine, **extra)
    pipeline.set_progress_bar_config(disable=True)
    reads_pixels = model.case.family in {STABLE_DIFFUSION, STABLE_DIFFUSION_XL}
    return pipeline(
        PROMPT,
        **{"image" if reads_pixels else "control_image": images[0] if len(mine) == 1 else images},
        controlnet_conditioning_scale=scales[0] if len(mine) == 1 else list(scales),
        latents=pack(noise) if is_flux else noise,
        width=WIDTH,
        height=HEIGHT,
        num_inference_steps=STEPS,
        guidance_scale=STRENGTH,
        output_type="latent",
    ).images


def as_image(pixels):
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.rgb)


def draw_the_mean(autoencoder):
    variances = slice(autoencoder.config.latent_channels, None)
    autoencoder.quant_conv.weight[variances] = 0
    autoencoder.quant_conv.bias[variances] = CERTAIN


def largest_difference(first, second):
    return float((first - second).abs().max())


@pytest.mark.parametrize("controls", [[("a", 0.7, 1)], [("b", 0.7, 1), ("a", 1.3, 2)]], ids=["one", "two"])
def test_they_steer_as_they_do_in_diffusers(model, controls):
    noise = model.noise()
    mine = walk(model, noise, list(starmap(model.control, controls)))
    if model.case.family is FLUX:
        mine = pack(mine)
    assert largest_difference(mine, walk_in_diffusers(model, noise, controls)) <= LARGEST_DIFFERENCE


def test_the_picture_and_the_scale_show(model):
    uses = [[], [model.control("a")], [model.control("a", 0.5)], [model.control("a", seed=2)], [model.control("b")]]
    latents, times = model.noise().expand(5, -1, -1, -1), torch.full((5,), 500.0)
    predictions = model.predict(latents, times, [PROMPT] * 5, uses)
    assert min(starmap(largest_difference, combinations(predictions, 2))) > VISIBLE


def test_each_row_is_steered_as_if_it_were_alone(model):
    a, b = model.control("a", 0.8), model.control("b", 1.2, seed=2)
    uses = [[], [a], [b, a], [], [a, model.control("a", 0.4, seed=3)]]
    latents, times = model.noise(5), torch.tensor([900.0, 100.0, 500.0, 300.0, 700.0])
    prompts = [PROMPT, OTHER, None, OTHER, PROMPT]
    together = model.predict(latents, times, prompts, uses)
    for row, use in enumerate(uses):
        mine = slice(row, row + 1)
        alone = model.predict(latents[mine], times[mine], prompts[mine], [use])
        assert largest_difference(alone, together[mine]) <= CLOSE


def test_each_is_called_once_for_all_rows_that_use_it(models):
    model, calls = models("sd"), []
    nets = {name: Counted(name, net, calls) for name, net in model.nets.items()}
    a, b = model.control("a"), model.control("b")
    model.predict(model.noise(4), torch.full((4,), 500.0), [PROMPT] * 4, [[a], [], [b, a], [a]], nets)
    assert sorted(call for call in calls if call != "waited") == [("a", 3), ("b", 1)]


@dataclass(frozen=True)
class Counted:
    """A ControlNet that notes when it is asked and when its answer is waited for."""

    name: str
    net: LocalControlNet
    calls: list

    def start(self, inputs):
        self.calls.append((self.name, len(inputs.latents)))
        return lambda: self.calls.append("waited") or self.net(inputs)


def test_all_are_asked_before_any_answer_is_waited_for(models):
    model, calls = models("sd"), []
    nets = {name: Counted(name, net, calls) for name, net in model.nets.items()}
    uses = [[model.control("a"), model.control("b")]]
    model.predict(model.noise(), torch.full((1,), 500.0), [PROMPT], uses, nets)
    assert calls == [("a", 1), ("b", 1), "waited", "waited"]


def test_rows_without_controlnets_call_none(models):
    model = models("sd")
    latents, times = model.noise(2), torch.full((2,), 500.0)
    steered = model.predict(latents, times, [PROMPT] * 2, [[], []], nets={"none": None})
    plain = model.family.denoise(latents, times, encoded(model.family, PROMPT, PROMPT), torch.ones(2))
    assert torch.equal(steered, plain)


def test_one_computes_on_plain_tensors(models):
    model = models("sdxl")
    (conditioning,), hint = encoded(model.family, PROMPT), model.family.controlnet_hint(picture(1))
    inputs = ControlNetInputs(
        latents=model.noise(),
        times=torch.tensor([500.0]),
        contexts=conditioning.context[None],
        pooled=conditioning.pooled[None],
        guidance=torch.ones(1),
        hints=hint[None],
        scales=torch.ones(1),
    )
    residuals = model.nets["a"](inputs)
    assert [len(tensor) for tensor in residuals.early + residuals.late] == [1] * 5


def test_its_bytes_are_those_of_its_weights(models):
    model = models("sd")
    weights = load_file(model.paths["a"] / "diffusion_pytorch_model.safetensors")
    assert model.nets["a"].weights_bytes == sum(weight.nbytes for weight in weights.values())


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("sd3-without-t5", ({"num_layers": 1}, {"num_layers": 2})),
        ("flux-dev", ({"num_single_layers": 0}, {"num_single_layers": 1})),
    ],
)
def test_those_of_different_depth_steer_rows_of_one_call(models, tmp_path, name, depths):
    model = models(name)
    nets = {key: model.load(model.misfit(tmp_path / key, **depth)) for key, depth in zip("cd", depths, strict=True)}
    c, d = model.control("c"), model.control("d", seed=2)
    latents, times, uses = model.noise(2), torch.full((2,), 500.0), [[c], [d]]
    together = model.predict(latents, times, [PROMPT] * 2, uses, nets)
    alone = [model.predict(latents[i, None], times[:1], [PROMPT], uses[i : i + 1], nets) for i in range(2)]
    assert largest_difference(torch.cat(alone), together) <= CLOSE


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A shipped model, and a ControlNet as training writes them: two layers beside six, in half precision."""
    torch.manual_seed(0)
    shipped = MODELS / "shapes-large"
    net = make_controlnet(SD3Transformer2DModel.from_pretrained(shipped / "transformer"), layers=2)
    with torch.no_grad():
        shout(net)
    folder = tmp_path_factory.mktemp("trained") / "edges"
    net.half().save_pretrained(folder, safe_serialization=True)
    return shipped, folder


def test_one_as_training_writes_it_steers_as_it_does_in_diffusers(trained):
    shipped, folder = trained
    family = STABLE_DIFFUSION_3.load(shipped, placement=ON_CPU)
    net = LocalControlNet.load(folder, family.controlnet_base, placement=ON_CPU)
    call = {
        "latents": torch.randn(1, *family.latent_shape(64, 64), generator=torch.Generator().manual_seed(1)),
        "times": torch.tensor([500.0]),
        "conditionings": family.encode([PROMPT]),
        "guidance": torch.ones(1),
    }
    control = RowControlNet(handle=handle("edges"), scale=0.9, hint=family.controlnet_hint(picture(1, 64, 64)))
    residuals = controlnet_residuals(by_handle({"edges": net}), family.controlnet_base, uses=[[control]], **call)
    mine = family.denoise(**call, residuals=residuals)
    assert largest_difference(mine, predict_in_diffusers(trained, call["latents"], 0.9)) <= LARGEST_DIFFERENCE


def predict_in_diffusers(trained, latents, scale):
    """Return the velocity at the first step of diffusers' pipeline, told to take one step from time 500."""
    shipped, folder = trained
    parts = open_pipeline(shipped)
    draw_the_mean(parts.vae)
    net = SD3ControlNetModel.from_pretrained(folder, dtype=torch.float32)
    pipeline = StableDiffusion3ControlNetPipeline(**parts.components, controlnet=net)
    pipeline.set_progress_bar_config(disable=True)
    following = pipeline(
        PROMPT,
        control_image=as_image(picture(1, 64, 64)),
        controlnet_conditioning_scale=scale,
        latents=latents,
        width=64,
        height=64,
        sigmas=[0.5],
        guidance_scale=1.0,
        output_type="latent",
    ).images
    return (latents - following) / 0.5


def refused(model, folder):
    with pytest.raises(AdapterFileError) as caught:
        model.load(folder)
    return str(caught.value)


def test_a_controlnet_of_another_family_is_refused(models):
    message = refused(models("sd"), models("sd3").paths["a"])
    assert "is of class 'SD3ControlNetModel'; ControlNets for this model are ControlNetModel." in message


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        ("sd", {"cross_attention_dim": 64}, "cross_attention_dim is 64, the model's 32"),
        ("sd", {"block_out_channels": (16, 16)}, "block_out_channels is"),
        ("sd", {"in_channels": 9}, "in_channels is 9, the model's 4"),
        ("sd", {"conditioning_channels": 1}, "have 1 channels, not 3"),
        ("sd", {"conditioning_embedding_out_channels": (8, 8, 16)}, "reads 4 pixels"),
        ("sd", {"global_pool_conditions": True}, "guess mode"),
        ("sdxl", {"addition_embed_type": None}, "addition_embed_type is None, the model's text_time"),
        ("sd3", {"num_layers": 3}, "3 layers, more than the model's 2"),
        ("sd3", {"extra_conditioning_channels": 1}, "1 channels besides"),
        ("sd3", {"joint_attention_dim": 32}, "joint_attention_dim is 32, the model's 64"),
        ("sd3", {"joint_attention_dim": None, "use_pos_embed": False}, "3.5 8B"),
        ("sd3", {"pos_embed_max_size": 16}, "more than 16 patches a side"),
        ("flux-dev", {"num_attention_heads": 3}, "width is 48, the model's 32"),
        ("flux-dev", {"num_mode": 4}, "union"),
        ("flux-dev", {"num_layers": 2}, "num_layers is 2, more than the model's 1"),
    ],
)
def test_a_controlnet_that_does_not_fit_is_refused_with_the_reason(models, tmp_path, name, config, reason):
    model = models(name)
    assert reason in refused(model, model.misfit(tmp_path / "misfit", **config))


def test_a_folder_without_a_controlnet_is_refused(models, tmp_path):
    assert "config.json' is missing" in refused(models("sd"), tmp_path)


def test_weights_that_lack_a_tensor_are_refused(models, tmp_path):
    model = models("sd")
    folder = model.misfit(tmp_path / "net")
    file = folder / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    del weights["controlnet_mid_block.weight"]
    save_file(weights, file)
    assert "lacks tensors" in refused(model, folder)


def test_weights_of_another_shape_than_the_config_says_are_refused(models, tmp_path):
    model = models("sd")
    folder = model.misfit(tmp_path / "net", cross_attention_dim=64)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"cross_attention_dim": 32}))
    assert "cannot be loaded" in refused(model, folder)


def test_a_family_without_controlnets_refuses_them(tmp_path):
    base = ControlNetBase(architecture=None, denoiser={}, downscale=8)
    with pytest.raises(AdapterFileError, match="models of this family take none"):
        LocalControlNet.load(tmp_path, base, placement=ON_CPU)
