from pathlib import Path

import pytest

from safelight.simulator.running.plan import plan_of
from safelight.simulator.running.preparing import prepare
from safelight.simulator.scenario.scenario import read_scenario

FOLDER = Path(__file__).parents[3] / "scenarios"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_can_be_simulated(path):
    plan = plan_of(read_scenario(path), path=path)
    key = plan.keys[0]
    run = prepare(plan.variants[key.variant], key, policies=plan.policies[key.variant][key.policy], folder=FOLDER)
    assert next(iter(run.simulation.requests)).arrived_s >= 0
