import pytest

from safelight.simulator.errors import BadScenario
from safelight.simulator.results.figures import RunKey
from safelight.simulator.running.preparing import prepare
from safelight.simulator.scenario.scenario import parse_scenario
from simulator.scenario.scenarios import SMALL, changed

TRACE = "[language]\n" + SMALL[: SMALL.index("[workload.arrivals]")] + '[workload.trace]\npath = "t.jsonl"\n'


def prepared(text, folder=None, policies=()):
    return prepare(parse_scenario(text), RunKey(policy="x", load=1.0, seed=0), policies=policies, folder=folder)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("", "'x' without steps"),
        (', "steps": 3, "task": "image-to-image"', "a start picture"),
        (', "steps": 3, "loras": [{"name": "a"}, {"name": "b"}]', "several LoRAs"),
    ],
)
def test_a_request_of_a_trace_that_is_no_text_is_an_error(row, said, tmp_path):
    (tmp_path / "t.jsonl").write_text(f'{{"arrival_s": 1.0, "request_id": "x"{row}}}\n', encoding="utf-8")
    run = prepared('[[adapters]]\nname = "own"\nmodel = "m"\n' + TRACE, tmp_path)
    with pytest.raises(BadScenario, match=said):
        list(run.simulation.requests)


def test_chosen_policies_and_a_spread_that_texts_do_not_follow_are_refused():
    text = "[language]\n" + SMALL + "steps = 5\n"
    with pytest.raises(BadScenario, match="'order=arrival'; language work follows"):
        prepared(text, policies=["order=arrival"])
    with pytest.raises(BadScenario, match=r"models\.m\.profile has a `spread`"):
        prepared(changed("encode_s", "spread = { step = 0.1 }, encode_s", text))
