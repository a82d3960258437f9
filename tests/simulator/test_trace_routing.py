import math
from collections import OrderedDict
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from safelight.control.routing.affinity import Affinity
from safelight.control.routing.dlora_dispatch import DloraDispatch
from safelight.control.routing.hash_by_adapter import HashByAdapter
from safelight.control.routing.least_loaded import LeastLoaded
from safelight.control.routing.least_work import LeastWork
from safelight.control.routing.policies import ROUTING_POLICIES
from safelight.control.routing.round_robin import RoundRobin
from safelight.control.routing.soonest_finish import SoonestFinish
from safelight.reports.style import WIDE_IN
from safelight.simulator.errors import RequestNotRouted
from safelight.simulator.trace_routing.analysis import replayed_policies, routing
from safelight.simulator.trace_routing.queueing import waits_of
from safelight.simulator.trace_routing.replay import replay
from safelight.simulator.trace_routing.report_section import WITH_ROUTING
from safelight.simulator.trace_routing.traffic import Traffic, traffic_of
from safelight.simulator.trace_routing.what_if import WhatIf
from safelight.traces.parquet import write_parquet
from safelight.traces.reading import open_trace
from safelight.traces.report.report import write_report
from traces.busy import busy_rows, named, trace_of

COUNTS = st.integers(1, 6)
BOUNDS = st.floats(1, 3)
NAMES = [policy.name for policy in ROUTING_POLICIES]


@st.composite
def traffics(draw):
    gaps = draw(st.lists(st.integers(0, 4), max_size=60))
    work = draw(st.lists(st.integers(1, 30), min_size=len(gaps), max_size=len(gaps)))
    keys = draw(st.lists(st.integers(0, 7), min_size=len(gaps), max_size=len(gaps)))
    return Traffic(arrivals_s=np.cumsum(gaps, dtype=float), work_s=np.array(work, float), keys=np.array(keys, np.int64))


def loads_met(traffic, chosen, instances):
    """Give for each request the unfinished ones of every instance when it comes, by the plainest of simulations."""
    free, ends = [0.0] * instances, [[] for _ in range(instances)]
    for now, work, instance in zip(traffic.arrivals_s, traffic.work_s, chosen, strict=True):
        yield [sum(end > now for end in each) for each in ends], free[instance] - now
        free[instance] = max(free[instance], now) + work
        ends[instance].append(free[instance])


def row_of(table, name, instances):
    return table.row(by_predicate=(pl.col("routing") == name) & (pl.col("instances") == instances), named=True)


def replayed(rows, kind, size):
    """Return loads as the published script counts them: LRU for each instance, nulls looked up like names."""
    caches, loads = {}, 0
    for row in rows:
        cache = caches.setdefault(row["instance"], OrderedDict())
        for name in row[kind] or ():
            if name in cache:
                cache.move_to_end(name)
                continue
            loads += 1
            if len(cache) >= size:
                cache.popitem(last=False)
            cache[name] = None
    return loads


@pytest.mark.parametrize("policy", ROUTING_POLICIES, ids=NAMES)
@given(traffic=traffics(), instances=COUNTS)
def test_every_request_gets_one_instance_that_is_there(policy, traffic, instances):
    chosen = replay(policy, traffic, instances)
    assert len(chosen) == len(traffic)
    assert all(0 <= instance < instances for instance in chosen)


@given(traffic=traffics(), instances=COUNTS)
def test_round_robin_gives_instances_equally_many_requests_but_for_one(traffic, instances):
    counts = np.bincount(replay(RoundRobin(), traffic, instances), minlength=instances)
    assert counts.max() - counts.min() <= 1


@given(traffic=traffics(), instances=COUNTS)
def test_least_loaded_sends_no_request_to_an_instance_while_another_has_less_to_do(traffic, instances):
    chosen = replay(LeastLoaded(), traffic, instances)
    for instance, (loads, _) in zip(chosen, loads_met(traffic, chosen, instances), strict=True):
        assert loads[instance] == min(loads)


@given(traffic=traffics(), instances=COUNTS, bound=BOUNDS)
def test_affinity_keeps_the_load_of_every_instance_within_its_bound(traffic, instances, bound):
    chosen = replay(Affinity(bound=bound), traffic, instances)
    for instance, (loads, _) in zip(chosen, loads_met(traffic, chosen, instances), strict=True):
        assert loads[instance] + 1 <= math.ceil(bound * (sum(loads) + 1) / instances)


@given(traffic=traffics(), instances=COUNTS)
def test_affinity_without_a_bound_is_hash_by_adapter(traffic, instances):
    hashed = replay(HashByAdapter(), traffic, instances)
    assert (replay(Affinity(bound=math.inf), traffic, instances) == hashed).all()


@given(traffic=traffics(), instances=COUNTS)
def test_soonest_finish_sends_no_request_to_an_instance_while_another_is_free_sooner(traffic, instances):
    chosen, free_s = replay(SoonestFinish(), traffic, instances), np.zeros(instances)
    for instance, now_s, work_s in zip(chosen, traffic.arrivals_s, traffic.work_s, strict=True):
        starts_s = np.maximum(free_s, now_s)
        assert starts_s[instance] == starts_s.min()
        free_s[instance] = starts_s[instance] + work_s


@given(traffic=traffics(), instances=COUNTS)
def test_least_work_chooses_as_soonest_finish_where_instances_run_one_request_at_a_time(traffic, instances):
    assert (replay(LeastWork(), traffic, instances) == replay(SoonestFinish(), traffic, instances)).all()


@given(traffic=traffics(), instances=COUNTS, places=st.integers(1, 4))
def test_dlora_dispatch_leaves_the_instances_that_keep_an_adapter_only_if_none_does(traffic, instances, places):
    caches = [OrderedDict() for _ in range(instances)]
    for key, chosen in zip(traffic.keys, replay(DloraDispatch(), traffic, instances, places=places), strict=True):
        assert key in caches[chosen] or not any(key in cache for cache in caches)
        caches[chosen][key] = None
        caches[chosen].move_to_end(key)
        if len(caches[chosen]) > places:
            caches[chosen].popitem(last=False)


def test_a_policy_that_sends_a_request_nowhere_is_named():
    class Nowhere:
        name = "nowhere"

        def choose(self, request, fleet, now):
            return None

    traffic = Traffic(arrivals_s=np.zeros(1), work_s=np.ones(1), keys=np.zeros(1, np.int64))
    with pytest.raises(RequestNotRouted, match="'nowhere' sends request 0 nowhere"):
        replay(Nowhere(), traffic, 2)


@given(traffic=traffics(), instances=COUNTS)
def test_waits_are_those_of_a_queue_at_each_instance(traffic, instances):
    chosen = replay(HashByAdapter(), traffic, instances)
    expected = [max(0.0, wait) for _, wait in loads_met(traffic, chosen, instances)]
    assert waits_of(traffic, chosen) == pytest.approx(expected)


@given(rows=busy_rows.filter(lambda rows: any(named(row["loras"]) for row in rows)), size=st.integers(1, 3))
def test_what_was_recorded_loads_as_much_as_the_published_replay(rows, size):
    table = routing(trace_of(rows), WhatIf(size=size, instances=[2])).table
    recorded = table.filter(routing="recorded")
    if {row["instance"] for row in rows} == {None}:
        assert recorded.is_empty()
        return
    for kind, name in (("controlnets", "controlnet"), ("loras", "lora")):
        assert recorded[f"{name}_loads_per_request"].item() * len(rows) == pytest.approx(replayed(rows, kind, size))


@given(rows=busy_rows.filter(lambda rows: any(named(row["loras"]) for row in rows)))
def test_with_one_instance_all_policies_cost_the_same(rows):
    table = routing(trace_of(rows), WhatIf(instances=[1])).table.filter(pl.col("routing") != "recorded")
    assert len(table.drop("routing").unique()) == 1


@given(rows=busy_rows)
def test_requests_of_one_first_lora_are_hashed_alike(rows):
    keys = traffic_of(trace_of(rows), work_s=5).keys
    first = [next((name for name in row["loras"] or () if name), None) for row in rows]
    by_name = {(name, key) for name, key in zip(first, keys, strict=True) if name is not None}
    assert len(by_name) == len({name for name, _ in by_name})


def test_loads_cost_their_seconds_and_make_others_wait():
    rows = [{"arrival_s": 0.0, "instance": "x", "loras": ["a"]}, {"arrival_s": 1.0, "instance": "x", "loras": ["a"]}]
    what_if = WhatIf(instances=[1], work_s=3, load_s={"loras": 4, "controlnets": 0})
    row = row_of(routing(trace_of(rows), what_if).table, "recorded", 1)
    assert (row["load_s_per_request"], row["wait_s_per_request"]) == (2, 3)


def test_durations_of_the_trace_come_before_the_constant():
    rows = [
        {"arrival_s": 0.0, "loras": ["a"], "duration_s": 7.0},
        {"arrival_s": 0.0, "loras": ["a"], "duration_s": None},
    ]
    assert traffic_of(trace_of(rows), work_s=5).work_s.tolist() == [7, 5]


def test_a_trace_without_instances_is_routed_all_the_same():
    rows = [{"arrival_s": float(at), "loras": ["a"]} for at in range(9)]
    table = routing(trace_of(rows)).table
    assert set(table["routing"]) == {policy.name for policy in replayed_policies()}


@pytest.mark.parametrize("row", [{"loras": ["a"]}, {"arrival_s": 1.0}, {"arrival_s": 1.0, "loras": [None]}])
def test_a_trace_without_times_or_without_names_of_adapters_cannot_be_routed(row):
    result = routing(trace_of([row]))
    assert (result.table.is_empty(), len(result.findings)) == (True, 1)


def test_every_figure_of_a_replay_is_marked_as_simulated():
    result = routing(trace_of([{"arrival_s": float(at), "instance": "x", "loras": ["a"]} for at in range(9)]))
    figure = Figure(figsize=WIDE_IN)
    result.draw(figure)
    assert "simulated" in result.title
    assert set(result.table["origin"]) == {"simulated"}
    assert all("simulated" in axes.get_ylabel() for axes in figure.axes)


def test_a_policy_of_others_is_compared_like_ours():
    class First:
        name = "first"

        def choose(self, request, fleet, now):
            return fleet.workers[0]

    rows = [{"arrival_s": float(at), "loras": ["a"]} for at in range(9)]
    table = routing(trace_of(rows), WhatIf(instances=[3]), policies=[First()]).table
    assert table.select("routing", "imbalance").rows() == [("first", 3.0)]


def test_a_page_with_routing_shows_the_loads_by_affinity(tmp_path):
    rows = [{"arrival_s": float(at), "instance": "x", "loras": ["a"]} for at in range(9)]
    write_parquet(trace_of(rows), tmp_path / "trace.parquet", source="a test")
    write_report(open_trace(tmp_path / "trace.parquet"), tmp_path / "report.html", contents=WITH_ROUTING)
    page = ET.fromstring((tmp_path / "report.html").read_text("utf-8"))
    assert len(page.findall(".//article")) == len(WITH_ROUTING)
    assert "LoRA loads per request, simulated by affinity" in "".join(page.itertext())
