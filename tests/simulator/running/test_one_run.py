from pathlib import Path

import pytest

from safelight.simulator.running.one_run import run_one
from safelight.simulator.running.plan import plan_of
from safelight.simulator.running.stopping import StopRequest
from safelight.simulator.scenario.scenario import parse_scenario
from simulator.scenario.scenarios import SMALL

TEXTS = "[language]\n" + SMALL + "steps = { least = 5, most = 30 }\n"


def figures(text):
    plan = plan_of(parse_scenario(text), path=Path("x.toml"))
    return run_one(plan, 0, outcomes=None, stop=StopRequest(), on_progress=lambda progress: None).figures


@pytest.mark.parametrize("text", [SMALL, TEXTS])
def test_counters_are_without_the_warm_up(text):
    whole, half, none = (figures(f"warmup_s = {seconds}\n" + text) for seconds in (0.0, 10.0, 1000.0))
    assert 0.2 * whole.ticks < half.ticks < 0.8 * whole.ticks
    assert 0.2 * whole.gpu_s < half.gpu_s < 0.8 * whole.gpu_s
    assert 0 < half.utilization <= 1
    assert (none.gpu_s, none.ticks, none.utilization, none.requests) == (0.0, 0, None, 0)
    assert none.end_s == whole.end_s
