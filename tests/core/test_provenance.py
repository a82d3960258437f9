from core.makers import a_level, a_request
from safelight.core.adapter import LoraUse
from safelight.core.level import Gate, Route
from safelight.core.outcome import Outcome, StageOutcome
from safelight.core.provenance import AdapterScale, provenance_of

CHEAP, DEAR = a_level(model="shapes-small"), a_level(model="shapes-large")
ROUTE = Route(levels=(CHEAP, DEAR), gates=(Gate(threshold=0.5),))


def outcome(number):
    stages = (
        StageOutcome(level=CHEAP, worker="worker-0", queue_s=0.5 * number, compute_s=1.0, score=0.25, retries=1),
        StageOutcome(level=DEAR, worker="worker-1", compute_s=2.0),
    )
    request = a_request(id=f"img_{number}", seed=number, loras=(LoraUse(name="neon", scale=0.5),))
    return Outcome(request=request, route=ROUTE, status="finished", total_s=4.0, stages=stages)


def test_provenance_names_the_level_and_the_seed_of_the_first_picture():
    provenance = provenance_of([outcome(1), outcome(2)])
    assert (provenance.model, provenance.seed) == ("shapes-large", 1)
    assert provenance.loras == (AdapterScale(name="neon", scale=0.5),)


def test_provenance_of_several_pictures_has_the_longest_wait_and_the_sums():
    provenance = provenance_of([outcome(1), outcome(2)])
    assert (provenance.queue_s, provenance.compute_s, provenance.retries) == (1.0, 6.0, 2)


def test_provenance_names_the_level_of_each_stage():
    (picture,) = provenance_of([outcome(1)]).images
    assert [stage.level.model for stage in picture.stages] == ["shapes-small", "shapes-large"]
    assert [stage.score for stage in picture.stages] == [0.25, None]
