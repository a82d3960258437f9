import msgspec
import pytest

from core.makers import REQUEST, a_level, a_request
from safelight.core.level import Gate, Route
from safelight.core.outcome import Outcome, StageOutcome
from safelight.core.source import LatentsHandle

CHEAP, DEAR = a_level(model="shapes-small"), a_level(start=LatentsHandle(id="earlier"), first_step=5)
ROUTE = Route(levels=(CHEAP, DEAR), gates=(Gate(threshold=0.5),))
STAGES = (
    StageOutcome(level=CHEAP, worker="worker-0", queue_s=0.5, compute_s=1.0, score=0.25, retries=1),
    StageOutcome(level=DEAR, worker="worker-1", queue_s=0.25, compute_s=2.0, steps_without_loras=4),
)


def outcome(**fields):
    return Outcome(**{"request": a_request(deadline_s=2.0), "route": ROUTE, "status": "finished"} | fields)


def test_a_picture_on_the_stroke_of_its_deadline_is_in_time():
    assert outcome(total_s=2.0).met_deadline


def test_a_picture_after_its_deadline_is_late():
    assert not outcome(total_s=2.1).met_deadline


@pytest.mark.parametrize("status", ["failed", "cancelled", "rejected"])
def test_no_picture_is_never_in_time(status):
    assert not outcome(status=status, total_s=0.1).met_deadline


def test_a_finished_picture_that_nobody_hurried_is_in_time():
    assert outcome(request=REQUEST, total_s=1e6).met_deadline


def test_an_outcome_sums_over_its_stages():
    whole = outcome(stages=STAGES)
    assert (whole.queue_s, whole.compute_s, whole.retries, whole.steps_without_loras) == (0.75, 3.0, 1, 4)


def test_the_last_stage_has_the_level_and_the_worker_of_the_picture():
    whole = outcome(stages=STAGES)
    assert (whole.level, whole.worker) == (DEAR, "worker-1")


def test_a_request_that_never_began_has_the_first_level_of_its_route_and_no_worker():
    rejected = outcome(status="rejected", reason="queue_full")
    assert (rejected.level, rejected.worker, rejected.queue_s) == (CHEAP, None, 0)


def test_a_stage_tells_which_latents_it_reused():
    assert [stage.reuse for stage in STAGES] == [None, LatentsHandle(id="earlier")]


def test_an_outcome_survives_json():
    whole = outcome(status="failed", reason="worker_died", stages=STAGES)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Outcome) == whole
