"""A deterministic engine: the bytes of a picture do not depend on the rows that share its ticks."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import safelight
from diffusion.jobs import composition, handle, make_job
from diffusion.makers import write_controlnet
from diffusion.test_engine_loras import LORAS, uses_of, write_lora
from diffusion.tiny_families import MADE
from safelight.core.adapter import ControlNetUse
from safelight.core.job import Job
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.source import KEPT, PAINTED, PictureSource
from safelight.diffusion.engine import DiffusionEngine

MODELS = Path(safelight.__file__).parent / "models"
COMPANIONS = 5
"""At most."""

FAMILIES = [made for made in MADE if made.name in {"sd", "sd3"}]
KINDS = ("plain", "unguided", "lora", "controlnet", "source", "masked")


def drawn(seed: int, side: int) -> Pixels:
    return Pixels(width=side, height=side, rgb=np.random.default_rng(seed).bytes(3 * side * side))


def job_of(spec: ModelSpec, kind: str, *, name: str, seed: int, side: int, steps: int) -> Job:
    """Return a job of one of the `KINDS`."""
    fields: dict[str, Any] = {}
    match kind:
        case "unguided":
            fields = {"guidance_scale": 1.0}
        case "lora":
            fields = {"loras": uses_of({"thin": 0.7, "wordy": -0.5} if seed % 2 else {"wide": 1.0})}
        case "controlnet":
            fields = {"controlnets": (ControlNetUse(name="net", scale=0.5, image=drawn(seed, side)),)}
        case "source":
            fields = {"source": PictureSource(image=drawn(seed, side), strength=0.5), "first_step": 1}
        case "masked":
            mask = bytes([PAINTED, KEPT] * (side * side // 2))
            fields = {"source": PictureSource(image=drawn(seed, side), strength=1.0, mask=mask)}
    return make_job(
        name,
        model=spec.name,
        guidance=spec.guidance,
        sampler=spec.samplers[seed % len(spec.samplers)] if spec.guidance == "classifier-free" else "euler",
        prompt=("a large red circle", "a small blue star above a green heart")[seed % 2],
        negative_prompt="a yellow cross" if seed % 3 == 0 else "",
        seed=seed,
        width=side,
        height=side,
        steps=steps,
        **fields,
    )


def paint_joining(engine: DiffusionEngine, arrivals: list[tuple[int, Job]]) -> dict[str, bytes]:
    """Begin each job at its tick; in each tick, rows of one size at a time take a step together; return the bytes."""
    steps = {job.id: job.level.steps_to_run for _, job in arrivals}
    sizes = {job.id: job.request.width for _, job in arrivals}
    pictures: dict[str, bytes] = {}
    left: dict[str, int] = {}
    tick = 0
    while len(pictures) < len(arrivals):
        if fresh := [job for when, job in arrivals if when == tick]:
            engine.begin(fresh)
            left |= {job.id: steps[job.id] for job in fresh}
        for side in {sizes[row] for row in left}:
            mine = [row for row in left if sizes[row] == side]
            assert engine.step(mine) == ()
            left |= {row: left[row] - 1 for row in mine}
            if done := [row for row in mine if left[row] == 0]:
                pictures |= {row: one.rgb for row, one in zip(done, engine.finish(done), strict=True)}
        left = {row: more for row, more in left.items() if more}
        tick += 1
    return pictures


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda made: made.name)
def exact(request, tmp_path_factory):
    """A deterministic engine with one tiny model, three LoRAs and a ControlNet."""
    made, root = request.param, tmp_path_factory.mktemp("exact")
    folder = made.write(root / made.name)
    engine = DiffusionEngine.load([folder], max_denoiser_rows=1, lora_ranks=16, deterministic=True)
    networks = engine._models[made.name].family.networks
    for seed, (name, (rank, with_text)) in enumerate(LORAS.items()):
        write_lora(root / name, networks, rank=rank, with_text=with_text, seed=seed)
    write_controlnet(root / "net", folder)
    for name in (*LORAS, "net"):
        engine.load_adapter(handle(name), engine.read_adapter(name, root / name)[1])
    return engine


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_the_bytes_of_a_picture_are_the_same_alone_and_in_any_company(exact, kind, data):
    (spec,) = exact.models
    mine = job_of(spec, kind, name="mine", seed=data.draw(st.integers(0, 9)), side=32, steps=3)
    others = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.sampled_from(KINDS),
                st.integers(0, 9),
                st.sampled_from((32, 64)),
                st.integers(2, 4),
            ),
            min_size=1,
            max_size=COMPANIONS,
        )
    )
    company = [
        (when, job_of(spec, its, name=f"other-{place}", seed=seed, side=side, steps=steps))
        for place, (when, its, seed, side, steps) in enumerate(others)
    ]
    place = data.draw(st.integers(0, len(company)))
    company.insert(place, (data.draw(st.integers(0, 3)), mine))
    assert paint_joining(exact, company)["mine"] == paint_joining(exact, [(0, mine)])["mine"]


@pytest.fixture(scope="module")
def small():
    """One whose default batches round by the place of a row in them."""
    return DiffusionEngine.load([MODELS / "shapes-small"], max_denoiser_rows=1, lora_ranks=0, deterministic=True)


def test_the_latents_of_a_shipped_model_are_the_same_at_every_place_of_a_tick(small, ask):
    rows = [ask(f"row-{place}", model="shapes-small", seed=place, guidance_scale=1.0) for place in range(4)]
    files = []
    for order in (rows, rows[::-1], rows[2:], [rows[3]]):
        small.begin(order)
        for _ in range(3):
            small.step([row.id for row in order])
        files += [small.pause(row.id).file for row in order if row is rows[3]]
        for row in order:
            small.drop(row.id)
    assert len(set(files)) == 1


def test_a_picture_that_was_paused_and_resumed_has_the_same_bytes(small, ask):
    job = ask("row", model="shapes-small", sampler="dpm++2m")
    (whole,) = paint_joining(small, [(0, job)]).values()
    small.begin([job])
    for _ in range(3):
        small.step([job.id])
    small.resume(msgspec.structs.replace(job, paused=small.pause(job.id)))
    for _ in range(job.level.steps - 3):
        small.step([job.id])
    assert small.finish([job.id])[0].rgb == whole


def test_a_deterministic_engine_refuses_to_fold(small):
    with pytest.raises(AssertionError, match="folds no LoRAs"):
        small.fold("shapes-small", composition(neon=1.0))
