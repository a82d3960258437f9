from pathlib import Path

import pytest

from safelight.simulator.running.one_run import run_one
from safelight.simulator.running.plan import plan_of
from safelight.simulator.running.stopping import StopRequest
from safelight.simulator.scenario.scenario import parse_scenario
from simulator.scenario.scenarios import changed

CONSTANT = changed("rate_per_s = 1.0", 'process = "constant"\nrate_per_s = 0.5', changed("count = 2", "count = 1"))
ALONE_S = 0.1 + 0.1 + 10 * (0.1 + 0.3 / 7)


def figures(text):
    plan = plan_of(parse_scenario(text), path=Path("x.toml"))
    return run_one(plan, 0, outcomes=None, stop=StopRequest(), on_progress=lambda progress: None).figures


def test_devices_of_workers_are_named_in_reports():
    plan = plan_of(parse_scenario(changed("count = 1", 'count = 1\ndevice = "H100"', CONSTANT)), path=Path("x.toml"))
    result = run_one(plan, 0, outcomes=None, stop=StopRequest(), on_progress=lambda progress: None)
    assert {span.worker for span in result.spans} == {"gpu-1 (H100)"}


def test_counts_and_seconds_are_those_after_the_warm_up():
    whole, later = figures(CONSTANT), figures(f"warmup_s = 9.8\n{CONSTANT}")
    assert (whole.requests, later.requests) == (10, 5)
    assert (whole.ticks, later.ticks) == (100, 50)
    assert (whole.gpu_s, later.gpu_s) == (pytest.approx(10 * ALONE_S), pytest.approx(5 * ALONE_S))
    assert later.utilization == pytest.approx(5 * ALONE_S / (later.end_s - 9.8))
    assert later.end_s == whole.end_s


def test_of_what_is_under_way_at_the_end_of_the_warm_up_the_rest_counts():
    later = figures(f"warmup_s = 9.0\n{CONSTANT}")
    assert (later.requests, later.ticks) == (5, 54)
    assert later.gpu_s == pytest.approx(5 * ALONE_S + 8.0 + ALONE_S - 9.0)


def test_a_run_within_its_warm_up_has_no_figures():
    found = figures(f"warmup_s = 100.0\n{CONSTANT}")
    assert (found.requests, found.gpu_s, found.utilization, found.throughput_per_s) == (0, 0.0, None, None)


def test_language_work_counts_after_the_warm_up():
    text = "[language]\nprompt_tokens = 1\n" + CONSTANT + "steps = 10\n"
    whole, later = figures(text), figures(f"warmup_s = 9.8\n{text}")
    assert (whole.ticks, later.ticks, later.requests) == (100, 50, 5)
    assert later.gpu_s == pytest.approx(whole.gpu_s / 2)


def test_a_fault_after_the_end_is_told():
    fault = '[[faults]]\nkind = "die"\nworker = "gpu-1"\nat_s = 1e6\n'
    plan = plan_of(parse_scenario(fault + CONSTANT), path=Path("x.toml"))
    result = run_one(plan, 0, outcomes=None, stop=StopRequest(), on_progress=lambda progress: None)
    assert any("`die` of 'gpu-1' at 1e+06 s comes after the end" in note for note in result.notes)
