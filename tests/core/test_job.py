import pytest

from core.makers import a_job, a_level, a_request
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterUse, ControlNetUse, LoraUse
from safelight.core.job import PausedRow
from safelight.core.pixels import Pixels

EDGES, OUTLINE, PASTEL = (AdapterHandle(name=name, generation=3) for name in ("edges", "outline", "pastel"))


def lora(name, scale=1.0):
    return LoraUse(name=name, scale=scale)


def bound(*loras, controlnets=(), **fields):
    request = a_request(loras=loras, controlnets=controlnets)
    return a_job(request, adapters=(EDGES, OUTLINE, PASTEL), **fields)


def edges(scale=1.0):
    return ControlNetUse(name="edges", scale=scale, image=Pixels(width=1, height=1, rgb=bytes(3)))


def test_rows_of_one_tick_share_model_and_size():
    assert a_job().kind == ("shapes-large", 64, 64)


def test_a_job_without_loras_has_the_empty_composition():
    assert a_job().composition == NO_ADAPTERS


def test_the_same_lora_twice_adds_up():
    assert bound(lora("outline", 0.5), lora("outline", 0.25)).composition.uses == (
        AdapterUse(handle=OUTLINE, scale=0.75),
    )


def test_a_job_needs_its_controlnets_first_even_at_scale_zero_and_no_lora_that_cancels_out():
    loras = lora("pastel"), lora("outline", 1.0), lora("outline", -1.0)
    assert bound(*loras, controlnets=(edges(0.0),)).handles == (EDGES, PASTEL)


def test_a_name_means_the_weights_that_it_meant_at_admission():
    assert bound(lora("outline")).handle("outline") == OUTLINE


def test_a_job_without_its_loras_needs_its_controlnets_only():
    bare = bound(lora("outline"), controlnets=(edges(),)).without_loras()
    assert (bare.composition, bare.handles) == (NO_ADAPTERS, (EDGES,))


def test_what_was_computed_of_a_job_is_not_taken_over_by_one_without_loras():
    job = bound(lora("outline"))
    assert (job.composition.handles, job.without_loras().composition.handles) == ((OUTLINE,), ())


def test_a_job_that_was_never_paused_has_its_steps_before_it():
    assert a_job().steps_run == 0


def test_a_paused_job_has_the_steps_of_its_row_behind_it():
    assert a_job(paused=PausedRow(steps_run=3, file=b"")).steps_run == 3


@pytest.mark.parametrize(("lacks_loras", "handles"), [(False, (OUTLINE,)), (True, ())])
def test_a_row_goes_on_as_it_was_computed(lacks_loras, handles):
    row = PausedRow(steps_run=3, lacks_loras=lacks_loras, file=b"")
    assert bound(lora("outline"), paused=row).as_paused.composition.handles == handles


@pytest.mark.parametrize(
    ("previews", "first_step", "every"), [(0, 0, 0), (8, 0, 3), (8, 15, 1), (40, 0, 1), (1, 0, 25)]
)
def test_previews_are_spread_over_the_steps_that_are_run(previews, first_step, every):
    assert a_job(a_request(previews=previews), a_level(first_step=first_step)).preview_every == every
