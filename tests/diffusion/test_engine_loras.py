"""Each row of a mixed batch is what diffusers and PEFT paint for that request alone, in every mode."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer

from diffusion.families.test_parity import open_pipeline
from diffusion.jobs import but, composition, handle
from diffusion.tiny_families import MADE
from safelight.core.adapter import NO_ADAPTERS, LoraUse
from safelight.core.errors import AdapterFileError
from safelight.diffusion.engine import DiffusionEngine

# PEFT asks transformers in a way that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

LARGEST_DIFFERENCE = 1e-3
STEPS = 4
TARGETS = {
    "unet": ["to_q", "to_v", "conv1", "proj_in"],
    "transformer": ["to_q", "to_v", "to_out.0", "net.2", "linear", "proj_out"],
    "text_encoder": ["q_proj", "fc1"],
    "text_encoder_2": ["q_proj", "fc2"],
}
LORAS = {"thin": (2, False), "wide": (6, False), "wordy": (3, True)}
"""Rank, and whether text encoders are changed too."""

MIXTURE = ({}, {"thin": 1.0}, {"thin": -0.6, "wide": 0.8}, {"wordy": 1.0}, {"wordy": 0.5, "wide": 1.0})
FOLDED = ({}, {"thin": 1.0}, {"wordy": 0.5, "wide": 1.0})


def uses_of(scales):
    return tuple(LoraUse(name=name, scale=scale) for name, scale in scales.items())


def write_lora(folder, networks, *, rank, with_text, seed):
    """Write random LoRAs on `networks` as PEFT folders, and leave the networks as they were."""
    for component, network in networks.items():
        if component.startswith("text") and not with_text:
            continue
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=TARGETS[component], init_lora_weights=False)
        model = get_peft_model(network, config)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.data *= 0.3
        model.save_pretrained(folder / component)
        model.unload()


class Oracle:
    """diffusers' pipeline with PEFT's adapters in its networks."""

    def __init__(self, folder, components):
        self.pipeline = open_pipeline(folder)
        self._networks = {name: getattr(self.pipeline, name) for name in components}
        self._models = {}

    def load(self, name, folder):
        for component, network in self._networks.items():
            part = folder / component
            if part.exists() and component not in self._models:
                self._models[component] = PeftModel.from_pretrained(network, part, adapter_name=name)
            elif part.exists():
                self._models[component].load_adapter(part, adapter_name=name)

    @torch.no_grad()
    def paint(self, job, late=0):
        """Paint with the LoRAs of `job` from step number `late` on; until then, without those of the denoiser."""
        self._wear(job.composition if late == 0 else NO_ADAPTERS)

        def after(pipeline, step, time, state):
            if step + 1 == late:
                self._wear(job.composition)
            return state

        return self.pipeline(
            job.request.prompt,
            width=job.request.width,
            height=job.request.height,
            num_inference_steps=job.level.steps,
            guidance_scale=job.level.guidance_scale,
            generator=torch.Generator().manual_seed(job.request.seed),
            output_type="np",
            callback_on_step_end=after,
        ).images[0]

    def _wear(self, composition):
        scales = {use.handle.name: use.scale for use in composition.uses}
        for model in self._models.values():
            model.base_model.set_adapter([name for name in scales if name in model.peft_config])
            for layer in (module for module in model.modules() if isinstance(module, LoraLayer)):
                for name in set(scales) & set(layer.scaling):
                    layer.set_scale(name, scales[name])

    @torch.no_grad()
    def decode(self, latent):
        """Return a latent as a picture in floats, (height, width, 3) in [0, 1]."""
        vae = self.pipeline.vae
        scaled = latent[None] / vae.config.scaling_factor + (vae.config.shift_factor or 0)
        return (vae.decode(scaled).sample[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()


@pytest.fixture(
    scope="module",
    params=[made for made in MADE if made.name in {"sd", "sdxl", "sd3", "sd3-without-t5", "flux-dev"}],
    ids=lambda made: made.name,
)
def bench(request, tmp_path_factory):
    """An engine with three LoRAs in its bank, and a function that gives the oracle's pictures."""
    made, root = request.param, tmp_path_factory.mktemp("loras")
    folder = made.write(root / made.name)
    engine = DiffusionEngine.load([folder], max_denoiser_rows=1)
    networks = engine._models[made.name].family.networks
    oracle = Oracle(folder, networks)
    sampler = next(iter(made.peers))
    oracle.pipeline.scheduler = made.peers[sampler](oracle.pipeline.scheduler.config)
    for seed, (name, (rank, with_text)) in enumerate(LORAS.items()):
        write_lora(root / name, networks, rank=rank, with_text=with_text, seed=seed)
        spec, weights = engine.read_adapter(name, root / name)
        assert spec.touches_text == with_text
        engine.load_adapter(handle(name), weights)
        oracle.load(name, root / name)
    return made, engine, oracle, cache(oracle.paint)


@pytest.fixture
def mixture(bench, ask):
    """Rows of unlike compositions, prompts and guidance."""
    made = bench[0]
    return [
        ask(
            f"row-{place}",
            model=made.name,
            guidance=made.guidance,
            prompt=("a large red circle", "a small blue star")[place % 2],
            width=32,
            height=32,
            steps=STEPS,
            guidance_scale=(3.0, 1.0)[place % 3 == 2],
            sampler=next(iter(made.peers)),
            seed=place,
            loras=uses_of(scales),
        )
        for place, scales in enumerate(MIXTURE)
    ]


def painted(engine, oracle, jobs, folded, late=0):
    """Return pictures in floats of rows that share every tick while `folded` is in the weights.

    In step number `late` they get their LoRAs.
    """
    engine.begin([job.without_loras() for job in jobs] if late else jobs)
    for step in range(STEPS):
        if late and step == late:
            engine.equip(jobs)
        engine.fold(jobs[0].level.model, folded)
        engine.step([job.id for job in jobs])
    engine.fold(jobs[0].level.model, NO_ADAPTERS)
    pictures = [oracle.decode(engine._rows[job.id].latent) for job in jobs]
    for job in jobs:
        engine.drop(job.id)
    return pictures


@pytest.mark.parametrize("folded", FOLDED, ids=["unmerged", "merged-thin", "merged-text"])
def test_each_row_of_a_mixture_is_what_peft_makes_of_it_alone(bench, mixture, folded):
    _, engine, oracle, wanted = bench
    ours = painted(engine, oracle, mixture, composition(**folded))
    for job, picture in zip(mixture, ours, strict=True):
        assert np.abs(picture - wanted(job)).max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("late", range(1, STEPS))
def test_rows_that_get_their_loras_late_are_what_peft_makes_of_them_with_loras_from_that_step_on(bench, mixture, late):
    _, engine, oracle, wanted = bench
    of_the_denoiser = [job for job in mixture if handle("wordy") not in job.composition.handles]
    ours = painted(engine, oracle, of_the_denoiser, composition(**FOLDED[late % 2]), late)
    for job, picture in zip(of_the_denoiser, ours, strict=True):
        assert np.abs(picture - wanted(job, late)).max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("late", [1, STEPS - 1])
def test_a_row_that_gets_its_loras_late_goes_on_as_one_that_began_with_them(bench, mixture, late):
    engine = bench[1]
    whole = [but(job, id=f"{job.id}-whole") for job in mixture]
    engine.begin([job.without_loras() for job in mixture])
    for _ in range(late):
        engine.step([job.id for job in mixture])
    engine.begin(whole)
    engine.equip(mixture)
    for one, other in zip(mixture, whole, strict=True):
        row, twin = engine._rows[one.id], engine._rows[other.id]
        twin.latent, twin.x0, twin.steps_done = row.latent, row.x0, row.steps_done
    for _ in range(late, STEPS):
        engine.step([job.id for job in (*mixture, *whole)])
    for one, other in zip(mixture, whole, strict=True):
        assert torch.allclose(engine._rows[one.id].latent, engine._rows[other.id].latent, atol=1e-5)
        engine.drop(one.id)
        engine.drop(other.id)


def test_when_loras_come_shows(bench, mixture):
    wanted = bench[3]
    pictures = [wanted(mixture[2], late) for late in range(STEPS)]
    assert all(np.abs(one - other).max() > LARGEST_DIFFERENCE for one, other in pairwise(pictures))


def test_every_composition_shows(bench, mixture):
    wanted = bench[3]
    for job in mixture[1:]:
        plain = wanted(but(job, loras=()))
        assert np.abs(plain - wanted(job)).max() > 10 * LARGEST_DIFFERENCE


def test_what_was_folded_leaves_no_trace(bench, mixture):
    _, engine, oracle, _ = bench
    before = painted(engine, oracle, mixture[:1], NO_ADAPTERS)[0]
    painted(engine, oracle, mixture, composition(wide=1.3, thin=0.2))
    assert (painted(engine, oracle, mixture[:1], NO_ADAPTERS)[0] == before).all()


def test_an_adapter_that_fits_no_model_is_refused_in_words_about_each(bench, tmp_path):
    with pytest.raises(AdapterFileError, match=r"nothing\.safetensors"):
        bench[1].read_adapter("nothing", tmp_path / "nothing.safetensors")
