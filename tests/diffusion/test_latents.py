"""Latents in and out: estimates that other rows start from, and rows that are paused and go on elsewhere."""

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import save

from diffusion.families.test_parity import MODELS
from diffusion.jobs import but, handle
from diffusion.tiny_families import MADE
from safelight.core.adapter import LoraUse
from safelight.core.errors import LatentsFileError
from safelight.core.job import PausedRow
from safelight.core.source import LatentsHandle, PictureSource
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.latents_file import LatentsFile
from safelight.diffusion.paint import paint
from safelight.diffusion.samplers.registry import SAMPLERS

STEPS = 8
ONE_BYTE = 1
CLOSE = 1e-4
ELSEWHERE = LatentsHandle(id="captured-elsewhere")


def as_array(picture):
    return np.frombuffer(picture.rgb, np.uint8).astype(np.int16)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """An engine for one model of each family."""
    opened = {}

    def find(made):
        if made.name not in opened:
            folder = made.write(tmp_path_factory.mktemp(made.name) / "random")
            opened[made.name] = DiffusionEngine.load([folder], max_denoiser_rows=1, lora_ranks=0)
        return opened[made.name]

    return find


@pytest.fixture
def wish(ask):
    def make(made, sampler="euler", request_id="row", **fields):
        defaults = {"width": 48, "height": 32, "steps": STEPS, "guidance_scale": 4.0, "prompt": "a large red circle"}
        return ask(request_id, model="random", guidance=made.guidance, sampler=sampler, **(defaults | fields))

    return make


def run(engine, job, steps):
    """Take steps and return what was captured on the way."""
    captured = []
    for _ in range(steps):
        engine.step([job.id])
        if (capture := engine.captured(job.id)) is not None:
            captured.append(capture)
    return captured


def paused_at(job, row):
    return msgspec.structs.replace(job, paused=row)


def families_and_samplers():
    return [pytest.param(made, sampler.name, id=f"{made.name}-{sampler.name}") for made in MADE for sampler in SAMPLERS]


@pytest.mark.parametrize(("made", "sampler"), families_and_samplers())
def test_a_row_that_was_paused_paints_the_same_picture(shelf, wish, made, sampler):
    engine = shelf(made)
    job = wish(made, sampler)
    undisturbed = as_array(paint(engine, [job])[0])
    engine.begin([job])
    run(engine, job, 3)
    paused = engine.pause(job.id)
    engine.resume(paused_at(job, paused))
    run(engine, job, STEPS - paused.steps_run)
    assert paused.steps_run == 3
    assert np.abs(as_array(engine.finish([job.id])[0]) - undisturbed).max() <= ONE_BYTE


@pytest.mark.parametrize(("made", "sampler"), families_and_samplers())
def test_an_estimate_is_captured_at_the_first_step_at_or_below_each_level(shelf, wish, made, sampler):
    engine = shelf(made)
    plain = wish(made, sampler)
    sigmas = engine._schedule_of(plain).sigma
    between = float(sigmas[4] + sigmas[5]) / 2
    job = but(plain, captures=(float(sigmas[2]), between))
    engine.begin([job])
    captured = run(engine, job, STEPS)
    engine.drop(job.id)
    assert [capture.noise for capture in captured] == pytest.approx([float(sigmas[2]), float(sigmas[5])])
    headers = [LatentsFile.from_bytes(engine.latents(capture.handle)).header for capture in captured]
    assert [header.step for header in headers] == [2, 5]


@pytest.mark.parametrize(("made", "sampler"), families_and_samplers())
def test_a_row_that_starts_from_an_estimate_is_that_estimate_noised(shelf, wish, made, sampler):
    engine = shelf(made)
    donor = wish(made, sampler, seed=1, captures=(0.5,))
    engine.begin([donor])
    (capture,) = run(engine, donor, STEPS)
    engine.drop(donor.id)
    x0 = LatentsFile.from_bytes(engine.latents(capture.handle)).tensors["x0"]
    plain = wish(made, sampler, seed=2, prompt="a small blue star")
    first = engine.step_at(plain, 0.6)
    taker = but(plain, start=capture.handle, first_step=first)
    levels = engine._schedule_of(taker)
    engine.begin([taker])
    noise = torch.randn((1, *x0.shape), generator=torch.Generator().manual_seed(2))[0]
    wanted = levels.alpha[first] * x0 + levels.sigma[first] * noise
    begun = engine._rows[taker.id].latent
    run(engine, taker, STEPS - first)
    assert (begun - wanted).abs().max() < CLOSE
    assert levels.sigma[first] <= 0.6
    assert len(engine.finish([taker.id])) == 1


def test_starting_from_the_end_of_another_picture_gives_that_picture_again(engine, ask):
    """Hardly any noise leaves hardly anything to paint."""
    donor = ask("donor", steps=25, captures=(0.0,))
    engine.begin([donor])
    (capture,) = run(engine, donor, 25)
    (picture,) = engine.finish([donor.id])
    taker = ask("taker", steps=25, seed=9, start=capture.handle, first_step=24)
    again = paint(engine, [taker])[0]
    assert np.abs(as_array(picture) - as_array(again)).mean() < 4


def test_what_an_estimate_shows_is_what_a_row_becomes_that_starts_from_it(engine, ask):
    """The layout of the donor survives another seed and another colour."""
    donor = ask("donor", steps=25, prompt="a large red circle on a white background", captures=(0.5,))
    engine.begin([donor])
    (capture,) = run(engine, donor, 25)
    donors = as_array(engine.finish([donor.id])[0]).reshape(64, 64, 3)
    taker = ask("taker", steps=25, seed=99, prompt="a large blue circle on a white background")
    first = engine.step_at(taker, 0.85)
    warm, cold = (
        as_array(paint(engine, [but(taker, **fields)])[0]).reshape(64, 64, 3)
        for fields in ({"start": capture.handle, "first_step": first}, {})
    )
    covered, kept, moved = (picture.min(axis=2) < 128 for picture in (donors, warm, cold))
    assert (covered & kept).sum() / (covered | kept).sum() > 0.8 > (covered & moved).sum() / (covered | moved).sum()


def test_a_row_that_inpaints_with_a_lora_goes_on_in_another_engine(engine, ask):
    loras = (LoraUse(name="rose", scale=0.8),)
    other = DiffusionEngine.load([MODELS / "shapes-large"], max_denoiser_rows=1)
    for one in (engine, other):
        _, weights = one.read_adapter("rose", MODELS / "adapters" / "rose")
        one.load_adapter(handle("rose"), weights)
    scene = paint(engine, [ask("scene")])[0]
    source = PictureSource(image=scene, mask=bytes([255, 0] * 32) * 64)
    job = ask("row", loras=loras, source=source, sampler="dpm++2m")
    undisturbed = as_array(paint(engine, [job])[0])
    engine.begin([job])
    run(engine, job, 5)
    other.resume(paused_at(job, engine.pause(job.id)))
    run(other, job, 3)
    assert np.abs(as_array(other.finish([job.id])[0]) - undisturbed).max() <= ONE_BYTE
    engine.evict_adapter(handle("rose"))


@pytest.fixture
def files(engine, ask):
    """A paused row of `ask("row")`, and the name of an estimate of it."""
    job = ask("row", captures=(1.0,))
    engine.begin([job])
    (capture,) = run(engine, job, 1)
    return engine.pause(job.id), capture.handle


def test_a_row_of_another_request_does_not_go_on(engine, ask, files):
    with pytest.raises(LatentsFileError, match="another request"):
        engine.resume(paused_at(ask("other", seed=8), files[0]))


def test_who_asks_and_when_makes_no_other_request(engine, ask, files):
    renamed = ask("renamed", arrived_s=5.0, deadline_s=9.0, previews=2, tenant="a", quality="high", captures=())
    engine.resume(paused_at(renamed, files[0]))
    engine.drop("renamed")


def test_a_row_at_another_level_does_not_go_on(engine, ask, files):
    with pytest.raises(LatentsFileError, match="another request"):
        engine.resume(paused_at(ask("row", guidance_scale=2.0), files[0]))


def test_an_estimate_has_a_name_of_its_own_in_each_stage_and_attempt(engine, ask):
    plain = ask("row", captures=(1.0, 0.0))
    handles = []
    for changes in ({}, {"attempt": 2}, {"stage": 1}):
        job = msgspec.structs.replace(plain, **changes)
        engine.begin([job])
        handles += [capture.handle for capture in run(engine, job, 8)]
        engine.drop(job.id)
    assert len(set(handles)) == len(handles) == 6


def test_the_size_of_an_estimate_is_told(engine, ask):
    job = ask("row", captures=(1.0,))
    engine.begin([job])
    (capture,) = run(engine, job, 1)
    engine.drop(job.id)
    assert capture.latents_bytes == len(engine.latents(capture.handle))


def test_an_estimate_that_was_dropped_is_refused_by_name(engine, ask, files):
    engine.drop_latents(files[1])
    with pytest.raises(LatentsFileError, match=f"'{files[1].id}' is not in this worker"):
        engine.begin([ask("row", start=files[1], first_step=2)])


def test_an_estimate_from_elsewhere_is_started_from_like_ones_own(engine, ask, files):
    engine.put_latents(ELSEWHERE, engine.latents(files[1]))
    pictures = [paint(engine, [ask("row", start=start, first_step=2)])[0] for start in (files[1], ELSEWHERE)]
    assert pictures[0] == pictures[1]


def test_a_row_that_started_from_an_estimate_goes_on_where_that_is_not(engine, ask, files):
    job = ask("row", start=files[1], first_step=2)
    undisturbed = as_array(paint(engine, [job])[0])
    engine.begin([job])
    run(engine, job, 3)
    paused = engine.pause(job.id)
    engine.drop_latents(files[1])
    engine.resume(paused_at(job, paused))
    run(engine, job, 3)
    assert np.abs(as_array(engine.finish([job.id])[0]) - undisturbed).max() <= ONE_BYTE


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "shapes-small", "guidance_scale": 1.0}, "made by 'shapes-large'"),
        ({"width": 96}, r"shape \(16, 8, 8\)"),
    ],
)
def test_an_estimate_is_refused_where_it_does_not_fit(engine, ask, files, fields, words):
    with pytest.raises(LatentsFileError, match=words):
        engine.begin([ask("row", start=files[1], first_step=2, **fields)])


def test_a_row_is_no_estimate(engine, ask, files):
    engine.put_latents(ELSEWHERE, files[0].file)
    with pytest.raises(LatentsFileError, match="'row', and 'estimate' is needed"):
        engine.begin([ask("row", start=ELSEWHERE, first_step=2)])


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:100],
        lambda whole: whole[:-4],
        lambda whole: b"\xff" * 8 + whole,
        lambda whole: save({"x0": torch.zeros(16, 8, 8)}),
        lambda whole: whole.replace(b'\\"format\\":1', b'\\"format\\":2'),
        lambda whole: whole.replace(b'"x0"', b'"x1"'),
    ],
    ids=["nothing", "a beginning", "an end is missing", "length", "no header", "another format", "another tensor"],
)
def test_a_damaged_file_is_refused(engine, files, damage):
    with pytest.raises(LatentsFileError, match="cannot be used"):
        engine.put_latents(ELSEWHERE, damage(engine.latents(files[1])))


def test_a_file_keeps_its_header_and_its_numbers(engine, files):
    file = LatentsFile.from_bytes(engine.latents(files[1]))
    again = LatentsFile.from_bytes(file.to_bytes())
    assert again.header == file.header
    assert torch.equal(again.tensors["x0"], file.tensors["x0"])


def test_a_file_of_a_row_that_has_not_begun_is_none(engine, ask):
    with pytest.raises(LatentsFileError):
        engine.resume(paused_at(ask("row"), PausedRow(steps_run=0, file=b"{}")))
