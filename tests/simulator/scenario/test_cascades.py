from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from safelight.cascade.router import Router
from safelight.control.levels.constraints import level_on
from safelight.control.levels.policies import LEVEL_POLICIES
from safelight.core.job import Job
from safelight.profiles.gate_file import GateCard, GateFile, write_gate
from safelight.simulator.errors import BadScenario
from safelight.simulator.results.figures import RunKey
from safelight.simulator.running.plan import plan_of
from safelight.simulator.running.preparing import prepare
from safelight.simulator.running.runs import run_all
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


KNOWN = """
[[cascades]]
name = "c"
light = "m"
heavy = "big"
deferral = [[0.0, 0.0], [0.5, 0.4], [1.0, 1.0]]
mix_quality = [[0.0, 0.9], [0.6, 0.95], [1.0, 0.7]]
"""
WITH_QUALITY = (
    TEXT.replace(CASCADE, KNOWN)
    .replace("[models.m]", "[models.m]\nquality = 0.7")
    .replace("[models.big]", "[models.big]\nquality = 0.9")
)


def simulated(policy, *, load=10.0, text=WITH_QUALITY):
    """Return the figures of a run under a level policy."""
    plan = plan_of(parse_scenario(text), path=Path("s.toml"), policies=[f"{policy},admission=open"], loads=[load])
    (result,) = run_all(plan).results
    return result.figures


@pytest.mark.parametrize(
    "policy", [policy for policy in LEVEL_POLICIES if policy.name != "as-asked"], ids=lambda policy: policy.name
)
def test_every_level_policy_is_simulated_by_name(policy):
    figures = simulated(f"level={policy.name}")
    assert figures.requests == figures.finished > 0
    assert figures.failed == 0
    assert 0.6 < figures.quality < 1.0


@pytest.mark.parametrize(("policy", "quality"), [("level=lightest", 0.7), ("level=heaviest", 0.9)])
def test_the_quality_of_one_model_is_its_own(policy, quality):
    assert simulated(policy).quality == pytest.approx(quality, abs=0.03)


def test_a_choice_by_score_gains_what_the_mix_says_and_a_random_one_nothing():
    by_score = simulated("level=cascade-static")
    assert by_score.escalated == pytest.approx(0.4, abs=0.06)
    assert by_score.quality == pytest.approx(0.95, abs=0.03)
    assert simulated("level=random-split").quality < 0.9


def test_a_gate_of_other_models_and_one_that_is_not_there_are_refused(tmp_path):
    for name, said in (("none.safetensors", "there is no such file"), ("shapez", "cascades.0..gate")):
        text = WITH_QUALITY.replace('heavy = "big"\n', f'heavy = "big"\ngate = "{name}"\n')
        key = RunKey(policy="default", load=1.0, seed=0)
        with pytest.raises(BadScenario, match=said):
            prepare(parse_scenario(text), key, policies=("level=cascade",), folder=tmp_path)


def test_the_curve_and_the_router_of_a_cascade_are_those_of_its_gate(tmp_path):
    card = GateCard(
        name="g",
        light="m",
        heavy="big",
        light_weights="",
        heavy_weights="",
        deferral=((0.0, 0.0), (1.0, 1.0)),
        best_share=0.6,
        judge="scene",
        captions=1,
        auc=0.9,
        calibration_error=0.0,
    )
    write_gate(GateFile(card=card, net={}, router=a_router().arrays()), tmp_path / "g.safetensors")
    text = WITH_QUALITY.replace("deferral = [[0.0, 0.0], [0.5, 0.4], [1.0, 1.0]]", 'gate = "g.safetensors"')
    key = RunKey(policy="default", load=1.0, seed=0)
    run = prepare(parse_scenario(text), key, policies=("level=cascade",), folder=tmp_path)
    (cascade,) = run.simulation.control.cascades
    assert (cascade.deferral, cascade.best_share) == (card.deferral, card.best_share)
    assert cascade.router.hardness("a red circle") == pytest.approx(a_router().hardness("a red circle"))


def a_router():
    rng = np.random.default_rng(0)
    embedding, hidden_bias, output = (rng.normal(size=shape).astype(np.float32) for shape in ((16, 4), (4,), (4,)))
    return Router(embedding=embedding, hidden_bias=hidden_bias, output=output)
