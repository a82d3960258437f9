import copy
from pathlib import Path

import pytest

from safelight.simulator.errors import SimulationStuck, SimulatorError
from safelight.simulator.running import runs
from safelight.simulator.running.plan import encoded, plan_of
from safelight.simulator.scenario.scenario import parse_scenario
from simulator.scenario.scenarios import SMALL


def test_an_error_that_cannot_be_sent_to_another_process_is_sent_as_its_text(monkeypatch):
    def stuck(*arguments, **options):
        raise SimulationStuck(3, 5.0)

    monkeypatch.setattr(runs, "run_one", stuck)
    plan = plan_of(parse_scenario(SMALL), path=Path("x.toml"))
    with pytest.raises(SimulatorError) as caught:
        runs._run(encoded(plan), 0, None)
    assert str(copy.copy(caught.value)) == str(SimulationStuck(3, 5.0))
