import msgspec
import pytest

from safelight.core.level import Gate, Level, Route
from safelight.core.outcome import Outcome, StageOutcome
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.source import LatentsHandle, PictureSource
from safelight.traces.row import row_of

LIGHT = Level(model="light", steps=8, guidance_scale=1.0, sampler="euler")
HEAVY = Level(model="heavy", steps=25, guidance_scale=3.0, sampler="heun")
REQUEST = ImageRequest(id="one", prompt="a red circle", width=64, height=64, seed=7, arrived_s=100.0, tenant="shop")
IMAGE = Pixels(width=64, height=64, rgb=bytes(3 * 64 * 64))


def outcome_of(*stages, request=REQUEST, levels=(LIGHT, HEAVY), status="finished"):
    gates = tuple(Gate(threshold=0.5) for _ in levels[1:])
    return Outcome(request=request, route=Route(levels=levels, gates=gates), status=status, stages=stages)


def test_a_row_has_the_level_and_the_worker_of_the_last_stage():
    stages = StageOutcome(level=LIGHT, worker="a"), StageOutcome(level=HEAVY, worker="b")
    row = row_of(outcome_of(*stages), origin="served")
    assert (row.base_model, row.steps, row.guidance_scale, row.sampler) == ("heavy", 25, 3.0, "heun")
    assert row.instance == "b"


def test_a_row_has_the_sums_over_all_stages():
    stages = (
        StageOutcome(level=LIGHT, queue_s=1.0, compute_s=2.0, retries=1, steps_without_loras=3),
        StageOutcome(level=HEAVY, queue_s=0.5, compute_s=4.0, retries=2, steps_without_loras=1),
    )
    row = row_of(outcome_of(*stages), origin="simulated")
    assert (row.queue_s, row.compute_s, row.retries, row.steps_without_loras) == (1.5, 6.0, 3, 4)


def test_a_request_that_never_began_has_the_first_level_of_its_route():
    row = row_of(outcome_of(status="rejected"), origin="served")
    assert (row.base_model, row.instance, row.status) == ("light", None, "rejected")


def test_a_row_has_what_was_asked_for_beside_what_was_served():
    asked = msgspec.structs.replace(REQUEST, model="cascade", steps=10, quality="high")
    row = row_of(outcome_of(StageOutcome(level=LIGHT), request=asked), origin="served")
    assert (row.asked_model, row.asked_steps, row.asked_guidance_scale, row.asked_quality) == (
        *("cascade", 10, None),
        "high",
    )
    assert row.stages == 1
    assert row_of(outcome_of(), origin="served").asked_model == "any"


def test_a_row_names_the_tenant_of_its_request():
    assert row_of(outcome_of(), origin="served").tenant == "shop"


@pytest.mark.parametrize(
    ("source", "task"),
    [
        (None, "text-to-image"),
        (PictureSource(image=IMAGE), "image-to-image"),
        (PictureSource(image=IMAGE, mask=bytes(64 * 64)), "inpainting"),
    ],
)
def test_the_task_follows_from_the_picture_that_a_request_starts_from(source, task):
    request = msgspec.structs.replace(REQUEST, source=source)
    assert row_of(outcome_of(request=request), origin="served").task == task


def test_the_strength_is_the_share_of_steps_that_a_start_leaves():
    resumed = msgspec.structs.replace(LIGHT, first_step=2, start=LatentsHandle(id="earlier"))
    assert row_of(outcome_of(levels=(resumed,)), origin="served").strength == 0.75


def test_a_request_that_starts_from_noise_has_no_strength():
    assert row_of(outcome_of(), origin="served").strength is None
