import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.reports.figure_files import FORMATS, figure_bytes
from safelight.traces.analyses.counting import counting
from safelight.traces.analyses.instances import instances
from safelight.traces.analyses.loading import loading
from safelight.traces.analyses.popularity import popularity
from safelight.traces.analyses.published import published
from safelight.traces.caches.policy import LFU, LRU
from safelight.traces.schema import conform
from safelight.traces.usage import usages
from traces import scripts
from traces.scripts import ROWS, trace_of


def scenes(rows):
    return sorted({row["scene_id"] for row in rows})


@given(rows=ROWS)
def test_requests_are_counted_as_the_published_statistics_count_them(rows):
    table = counting(usages(trace_of(rows))).table
    for scene in scenes(rows):
        requests, models, _, controlnets, loras, _ = scripts.statistics(rows, scene)
        counted = {
            of: dict(table.filter(service=scene, counted=of).select("value", "requests").rows())
            for of in ("base_model", "controlnets", "loras")
        }
        assert counted["base_model"] == models
        assert counted["controlnets"] == {str(number): count for number, count in controlnets.items()}
        assert counted["loras"] == {str(number): count for number, count in loras.items()}
        assert sum(counted["controlnets"].values()) == requests


def test_rare_numbers_of_controlnets_are_marked_and_stay_in_the_denominator():
    row = {"timestamp": 0, "ip": "1.1.1.1", "scene_id": "A", "base_model_id": "m", "loras": None}
    rows = [{**row, "controlnets": ["x"]}] * 150 + [{**row, "controlnets": None}] * 99 + [{**row, "controlnets": []}]
    table = counting(usages(trace_of([*rows, {**row, "controlnets": ["x", "y"]}]))).table.filter(counted="controlnets")
    shown = table.filter("is_published")
    assert dict(shown.select("value", "share").rows()) == {"0": 100 / 251, "1": 150 / 251}
    assert table.filter(~pl.col("is_published"))["value"].to_list() == ["2"]


@given(rows=ROWS, kind=st.sampled_from(["controlnets", "loras"]))
def test_adapters_are_ranked_by_how_often_they_are_listed(rows, kind):
    table = popularity(usages(trace_of(rows))).table.filter(adapters=kind)
    for scene in scenes(rows):
        expected = scripts.invocations(rows, scene, kind)
        ranked = table.filter(service=scene)
        assert dict(ranked.select("name", "uses").rows()) == expected
        assert ranked["uses"].to_list() == sorted(expected.values(), reverse=True)
        assert ranked["rank"].to_list() == list(range(1, len(expected) + 1))
        if expected:
            assert ranked["cumulative_share"][-1] == pytest.approx(1)
            assert ranked["share"].to_list() == [uses / sum(expected.values()) for uses in ranked["uses"]]


@given(rows=ROWS, policy=st.sampled_from([LRU, LFU]))
def test_loads_are_those_of_a_literal_replay(rows, policy):
    sizes = [1, 2, 3, 5, 9]
    table = loading(usages(trace_of(rows)), policy=policy, sizes=sizes).table
    for scene in scenes(rows):
        found = table.filter(service=scene)
        for kind, column in (("controlnets", "controlnet_loads"), ("loras", "lora_loads")):
            literal = [scripts.loads(rows, scene, kind, policy.name, size) for size in sizes]
            assert found[column].to_list() == literal
            requests = len(scripts.of_scene(rows, scene))
            assert found[f"{column}_per_request"].to_list() == [loads / requests for loads in literal]


@given(rows=ROWS, policy=st.sampled_from([LRU, LFU]))
def test_loads_are_the_same_whether_streams_are_replayed_in_one_go_or_not(rows, policy):
    services = usages(trace_of(rows))
    alone, together = (loading(services, policy=policy, sizes=[1, 2, 5], most_together=most) for most in (0, 1000))
    assert alone.table.equals(together.table)


@given(rows=ROWS)
def test_instances_are_told_with_their_requests_and_distinct_adapters(rows):
    table = instances(usages(trace_of(rows))).table
    for scene in scenes(rows):
        found = table.filter(service=scene).drop("service").rows()
        assert {ip: tuple(counts) for ip, *counts in found} == scripts.distinct(rows, scene)


@given(rows=ROWS)
def test_a_request_without_loads_finds_both_kinds_in_place(rows):
    table = loading(usages(trace_of(rows)), policy=LRU, sizes=[1, 3]).table
    for scene in scenes(rows):
        for size in (1, 3):
            of_scene = sorted(scripts.of_scene(rows, scene), key=lambda row: row["timestamp"])
            waits = 0
            for place in range(len(of_scene)):
                before, now = of_scene[:place], of_scene[: place + 1]
                waits += any(
                    scripts.loads(now, scene, kind, "LRU", size) > scripts.loads(before, scene, kind, "LRU", size)
                    for kind in ("controlnets", "loras")
                )
            found = table.filter(service=scene, size=size)["requests_without_loads"].item()
            assert found == len(of_scene) - waits


def test_a_trace_that_tells_only_arrivals_has_answers_and_figures():
    results = dict(published(usages(conform(pl.LazyFrame({"arrival_s": [0.0, 1.0]})))))
    assert results["counting"].findings[0] == "The trace has 2 requests at 1 instance."
    assert results["adapters_LRU"].table["lora_loads"].to_list() == [0] * 10
    assert all(figure_bytes(result, "svg") for result in results.values())


def test_uses_without_a_name_are_told():
    rows = [
        {"timestamp": 0, "ip": "1", "scene_id": "A", "base_model_id": "m", "controlnets": [], "loras": [None, None]}
    ]
    services = usages(trace_of(rows))
    told = "Service A: 2 LoRA uses without a name count as one and the same."
    assert told in loading(services, policy=LRU, sizes=[1]).findings
    assert told in instances(services).findings
    assert popularity(services).findings == ("Service A names no ControlNets.", "Service A names no LoRAs.")


def test_equal_results_give_equal_files():
    rows = [{"timestamp": 0, "ip": "1", "scene_id": "A", "base_model_id": "m", "controlnets": ["x"], "loras": ["y"]}]
    for form in FORMATS:
        files = {figure_bytes(popularity(usages(trace_of(rows))), form) for _ in range(2)}
        assert len(files) == 1


@pytest.mark.parametrize(
    ("counts", "rest", "cumulative"),
    [
        (
            [86457, 70450, 47569, 43956, 22881, 3120, 672, 320, 303, 258, 192, 177, 172, 156, 156, 127],
            (31, 1155),
            {1: 31.1, 3: 73.5, 5: 97.55},
        ),
        (
            [149146, 90486, 90486, 78219, 71711, 60726, 48769, 44610, 11492, 8580, 8580, 4545, 1644, 490, 490, 482],
            (78, 768),
            {1: 22.2, 5: 71.5, 8: 94.48, 12: 99.4},
        ),
    ],
    ids=["A", "B"],
)
def test_the_published_uses_of_controlnets_have_the_published_shares(counts, rest, cumulative):
    """Uses by rank and cumulative shares as in the paper's figures (Li et al., USENIX ATC 2025)."""
    others, their_uses = rest
    uses = counts + [their_uses // others] * (others - 1) + [their_uses - their_uses // others * (others - 1)]
    names = pl.Series([f"net {rank}" for rank in range(len(uses))]).gather(np.repeat(np.arange(len(uses)), uses))
    trace = conform(pl.LazyFrame({"controlnets": names}).select(pl.concat_list("controlnets")))
    table = popularity(usages(trace)).table.filter(adapters="controlnets")
    assert table["uses"].to_list()[: len(counts)] == counts
    for rank, share in cumulative.items():
        assert 100 * table["cumulative_share"][rank - 1] == pytest.approx(share, abs=0.05)
