"""`[reuse]`: earlier pictures serve later requests of a trace with prompts."""

import json
from pathlib import Path

import pytest

from safelight.simulator.errors import BadScenario
from safelight.simulator.running.plan import plan_of
from safelight.simulator.running.preparing import prepare
from safelight.simulator.running.runs import run_all
from safelight.simulator.scenario.scenario import parse_scenario
from safelight.simulator.simulate import simulate
from simulator.scenario.scenarios import SMALL

FIRST = "a large red circle left of a small blue star on a white background"
REWORDED = "a large red circle left of the small blue star on the white background"
RECOLOURED = "a large green circle left of a small blue star on a white background"
OWN_WORKLOAD = SMALL[SMALL.index("[workload.arrivals]") : SMALL.index("[[workload.mix]]")]


def outcomes(prompts, tmp_path, *, reuse="[reuse]\n"):
    """Return the outcomes of requests for some prompts, one each 10 s, in order."""
    rows = [{"arrival_s": 10.0 * number, "prompt": prompt} for number, prompt in enumerate(prompts)]
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    text = SMALL.replace(OWN_WORKLOAD, '[workload.trace]\npath = "trace.jsonl"\n\n') + reuse
    plan = plan_of(parse_scenario(text), path=tmp_path / "s.toml")
    prepared = prepare(plan.scenario, plan.keys[0], policies=(), folder=tmp_path)
    found = []
    simulate(prepared.simulation, on_outcome=found.append)
    return found


def test_the_same_prompt_is_answered_at_once_and_another_one_is_not(tmp_path):
    first, again, other = outcomes([FIRST, FIRST, "a dog"], tmp_path)
    assert (first.reused, other.reused) == (None, None)
    assert again.reused.tier == "exact"
    assert (again.total_s, again.status) == (0.0, "finished")


def test_a_reworded_prompt_starts_from_the_earlier_picture_and_takes_less_time(tmp_path):
    first, reworded = outcomes([FIRST, REWORDED], tmp_path)
    assert reworded.reused.tier == "approximate"
    assert reworded.level.first_step == reworded.reused.steps_saved > 0
    assert reworded.compute_s < first.compute_s


def test_a_veto_rule_speaks_against_another_colour_and_a_started_picture_starts_nothing(tmp_path):
    assert outcomes([FIRST, RECOLOURED], tmp_path)[1].reused is None
    first, *_, last = outcomes([FIRST, REWORDED, REWORDED], tmp_path)
    assert last.reused.tier == "approximate"
    assert last.reused.steps_saved < first.level.steps


@pytest.mark.parametrize(
    ("reuse", "tiers"),
    [
        ("", [None] * 3),
        ('[reuse]\npredictor = "exact"\n', [None, "exact", None]),
        ("[reuse]\nttl_s = 5.0\n", [None] * 3),
        ("[reuse]\nmax_bytes = 10\n", [None] * 3),
        ("[reuse]\nmax_uses = 1\n", [None, "exact", None]),
    ],
    ids=["none", "exact", "too old", "no room", "used"],
)
def test_what_is_kept_is_bounded(reuse, tiers, tmp_path):
    found = outcomes([FIRST, FIRST, REWORDED], tmp_path, reuse=reuse)
    assert [None if each.reused is None else each.reused.tier for each in found] == tiers


def test_an_unknown_predictor_and_texts_are_refused():
    with pytest.raises(BadScenario, match=r"reuse\.predictor is 'nirvanna'; did you mean 'nirvana'"):
        parse_scenario(SMALL + '[reuse]\npredictor = "nirvanna"\n')


def test_requests_without_prompts_reuse_nothing():
    plan = plan_of(parse_scenario(SMALL + "[reuse]\n"), path=Path("s.toml"))
    (result,) = run_all(plan).results
    assert result.figures.finished == result.figures.requests
