from collections import Counter

import msgspec
import pytest

from safelight.control.levels.constraints import level_on
from safelight.core.job import Job
from safelight.simulator.errors import BadScenario
from safelight.simulator.results.figures import RunKey
from safelight.simulator.running.preparing import prepare
from safelight.simulator.scenario.cascades import scorer_of
from safelight.simulator.scenario.scenario import parse_scenario
from simulator.scenario.scenarios import SMALL, changed

CASCADE = """
[[cascades]]
name = "c"
light = "m"
heavy = "big"
deferral = [[0.0, 0.0], [0.2, 0.5], [1.0, 1.0]]
mix_quality = [[0.0, 14.0], [0.5, 10.0], [1.0, 20.0]]
"""
MODEL = SMALL[SMALL.index("[models.m]") : SMALL.index("[workload.arrivals]")]
TEXT = (
    CASCADE
    + MODEL.replace("models.m", "models.big")
    + changed('model = "m"\n', 'model = "c"\n', changed('models = ["m"]', 'models = ["m", "big"]'))
)


def prepared(text=TEXT, *, load=1.0):
    return prepare(
        parse_scenario(text), RunKey(policy="default", load=load, seed=0), policies=("level=cascade",), folder=None
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[0.2, 0.5]", "[0.2, 1.5]", "cascades[0].deferral[1][1] is 1.5; it must be at least 0 and at most 1"),
        ("[0.2, 0.5]", "[0.2, nan]", "cascades[0].deferral[1][1] is nan; it must be a finite number"),
        ("[0.2, 0.5]", "[0.2, 0.5], [0.3, 0.4]", "cascades[0].deferral: the deferral curve of 'c' falls"),
        ("[0.2, 0.5]", "[0.2]", "cascades[0].deferral[1] has 1 elements; it must have 2"),
        ("[0.5, 10.0]", "[0.0, 10.0]", "cascades[0].mix_quality goes back"),
        ('light = "m"', 'light = "n"', "cascades[0].light is 'n'; did you mean 'm'"),
        ('heavy = "big"', 'heavy = "bug"', "cascades[0].heavy is 'bug'; did you mean 'big'"),
        ('name = "c"', 'name = "m"', "cascades[0].name is 'm', which is a model"),
    ],
)
def test_an_error_names_the_curve(old, new, said):
    with pytest.raises(BadScenario) as caught:
        parse_scenario(changed(old, new, TEXT))
    assert said.partition("; did")[0] in str(caught.value)


def test_requests_name_a_cascade_in_place_of_a_model():
    requests = list(prepared().simulation.requests)
    assert {request.model for request in requests} == {"c"}
    assert {(request.width, request.height) for request in requests} == {(64, 64)}


def test_scores_of_light_pictures_follow_the_deferral_curve():
    run = prepared(load=100.0)
    spec = run.simulation.workers[0].models[0].spec
    jobs = [Job(request=request, level=level_on(spec, request)) for request in run.simulation.requests]
    scores = [run.simulation.score(job) for job in jobs]
    assert sum(score < 0.2 for score in scores) / len(scores) == pytest.approx(0.5, abs=0.05)


def test_equal_prompts_get_equal_scores_and_another_seed_gives_others():
    run = prepared()
    spec = run.simulation.workers[0].models[0].spec
    first, second, *_ = run.simulation.requests
    same = [msgspec.structs.replace(each, prompt="a red circle") for each in (first, second)]
    jobs = [Job(request=request, level=level_on(spec, request)) for request in same]
    scores = [scorer_of(parse_scenario(TEXT).cascades, seed=seed)(job) for seed in (0, 1) for job in jobs]
    assert scores[0] == scores[1] != scores[2] == scores[3]


def test_only_light_pictures_are_scored():
    run = prepared()
    heavy = run.simulation.workers[0].models[1].spec
    request = next(iter(run.simulation.requests))
    assert run.simulation.score(Job(request=request, level=level_on(heavy, request))) is None
    assert scorer_of((), seed=0) is None


@pytest.mark.parametrize(
    ("light", "heavy", "quality"), [(10, 0, 20.0), (3, 1, 15.0), (5, 5, 10.0), (1, 3, 12.0), (0, 7, 14.0), (0, 0, None)]
)
def test_the_quality_of_a_mix_is_on_the_line_between_those_that_are_known(light, heavy, quality):
    assert prepared().quality_of_mix(Counter(m=light, big=heavy)) == (
        None if quality is None else pytest.approx(quality)
    )


def test_curves_of_a_cascade_come_from_the_profile_of_its_light_model():
    text = TEXT.replace("deferral = [[0.0, 0.0], [0.2, 0.5], [1.0, 1.0]]", "")
    with pytest.raises(BadScenario, match=r"cascades\[0\]\.deferral is missing, and the profile of 'm' has none"):
        prepared(text)
    own = "decode_s = 0.1, deferral = [[0.0, 0.0], [0.4, 1.0]],"
    run = prepared(text.replace("decode_s = 0.1,", own))
    assert run.simulation.control.cascades[0].deferral == ((0.0, 0.0), (0.4, 1.0))
