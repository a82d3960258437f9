"""The scenario of Katz-like adapters, against the replay of LRU caches that `trace routing` does."""

from pathlib import Path

import msgspec
import pytest

from safelight.control.policies import MEMBERS
from safelight.simulator.running.one_run import run_one
from safelight.simulator.running.plan import plan_of
from safelight.simulator.running.stopping import StopRequest
from safelight.simulator.scenario.scenario import read_scenario
from safelight.simulator.trace_routing.replay import replay
from safelight.simulator.trace_routing.traffic import traffic_of
from safelight.simulator.trace_routing.what_if import WhatIf, measure
from safelight.traces.reading import open_trace
from safelight.traces.usage import usages

SCENARIO = Path(__file__).parents[2] / "scenarios" / "katz-adapters.toml"
WORKERS, PLACES, REQUESTS = 2, 10, 300
ALIKE = 0.02
"""The two may differ in which adapter of one request counts as used last."""


@pytest.fixture(scope="module")
def quiet():
    """The scenario with few requests, so far apart that none waits."""
    scenario = read_scenario(SCENARIO)
    like = msgspec.structs.replace(scenario.workload.like, requests=REQUESTS, instances=WORKERS)
    return msgspec.structs.replace(
        scenario,
        fleet=tuple(msgspec.structs.replace(group, count=WORKERS) for group in scenario.fleet),
        workload=msgspec.structs.replace(scenario.workload, like=like),
        rates_per_s=(0.002,),
        warmup_s=0.0,
    )


@pytest.mark.parametrize("routing", ["round-robin", "hash-by-adapter"])
def test_without_waiting_it_loads_as_much_as_a_replay_of_lru_caches(quiet, routing, tmp_path):
    choice = f"routing={routing},placement=no-prefetch,admission=open,order=arrival"
    plan = plan_of(quiet, path=SCENARIO, policies=[choice], seeds=[1])
    log = tmp_path / "outcomes.jsonl"
    run = run_one(plan, 0, outcomes=log, stop=StopRequest(), on_progress=lambda progress: None)
    frame = open_trace(log).frame.collect().sort("arrival_s").lazy()
    (usage,) = usages(frame)
    traffic = traffic_of(frame, work_s=1.0)
    policy = next(policy for policy in MEMBERS["routing"] if policy.name == routing)
    replayed = measure(usage, traffic, replay(policy, traffic, WORKERS), WORKERS, WhatIf(size=PLACES))
    loads = replayed["lora_loads_per_request"] + replayed["controlnet_loads_per_request"]
    assert run.figures.adapter_loads_per_request == pytest.approx(loads, rel=ALIKE)


def test_it_compares_every_routing_and_every_placement_policy():
    chosen = {choice for choices in read_scenario(SCENARIO).policies.values() for choice in _choices(choices)}
    defaults = {family: MEMBERS[family][0].name for family in ("routing", "placement")}
    for family, default in defaults.items():
        members = {policy.name for policy in MEMBERS[family]}
        named = {choice.partition("=")[2] for choice in chosen if choice.startswith(f"{family}=")}
        assert members - {default} <= named


def _choices(choices):
    return [choices] if isinstance(choices, str) else choices
