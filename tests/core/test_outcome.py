import msgspec
import pytest

from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest

REQUEST = ImageRequest(
    id="one",
    model="shapes-large",
    prompt="a red circle",
    width=64,
    height=64,
    steps=25,
    guidance_scale=3.0,
    sampler="euler",
    seed=7,
    arrived_s=100.0,
    deadline_s=2.0,
)


def test_a_picture_on_the_stroke_of_its_deadline_is_in_time():
    assert Outcome(request=REQUEST, status="finished", total_s=2.0).met_deadline


def test_a_picture_after_its_deadline_is_late():
    assert not Outcome(request=REQUEST, status="finished", total_s=2.1).met_deadline


@pytest.mark.parametrize("status", ["failed", "cancelled", "rejected"])
def test_no_picture_is_never_in_time(status):
    assert not Outcome(request=REQUEST, status=status, total_s=0.1).met_deadline


def test_a_finished_picture_that_nobody_hurried_is_in_time():
    patient = msgspec.structs.replace(REQUEST, deadline_s=None)
    assert Outcome(request=patient, status="finished", total_s=1e6).met_deadline


def test_an_outcome_survives_json():
    outcome = Outcome(request=REQUEST, status="failed", reason="worker_died", worker="worker-0.1", retries=2)
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome
