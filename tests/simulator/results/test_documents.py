import json

import msgspec
import pytest

from safelight.simulator.results.text import tables_of
from simulator.results.runs import document, result_of


def test_every_block_of_figures_says_that_it_is_simulated():
    raw = json.loads(msgspec.json.encode(document([result_of(), result_of(seed=1)])))
    assert raw["simulated"] is True
    assert [summary["simulated"] for summary in raw["summaries"]] == [True]
    assert [(run["simulated"], run["figures"]["simulated"]) for run in raw["runs"]] == [(True, True)] * 2


def test_a_summary_is_over_the_complete_runs_of_one_policy_and_load():
    results = [
        result_of(seed=0),
        result_of(seed=1),
        result_of(seed=2, is_complete=False),
        result_of("b"),
        result_of(load=2),
    ]
    found = {(each.policy, each.load): each.n for each in document(results).summaries}
    assert found == {("ours", 1.0): 2, ("b", 1.0): 1, ("ours", 2.0): 1}


def test_summaries_have_intervals_from_two_seeds_on():
    one, two = document([result_of()]), document([result_of(), result_of(slowness=1.5)])
    assert one.summaries[0].figures["latency_mean_s"].low is None
    found = two.summaries[0].figures["latency_mean_s"]
    assert found.low < found.mean < found.high


def test_tables_say_that_they_are_simulated_and_over_how_many_seeds():
    one, two = tables_of(document([result_of()])), tables_of(document([result_of(), result_of(seed=1)]))
    assert one[0].title.startswith("Simulated")
    assert "no interval" in one[0].title
    assert "n = 2" in two[0].title


def test_a_table_has_a_column_for_each_policy():
    (table,) = tables_of(document([result_of(), result_of("b", slowness=2.0)]))
    assert table.headings == ("", "ours", "b")
    attainment = next(row for row in table.rows if row[0] == "attainment")
    assert attainment[1] != attainment[2]


def test_interrupted_runs_have_a_table_of_their_own():
    tables = tables_of(document([result_of(), result_of(seed=1, is_complete=False)], is_complete=False))
    assert [table.title.partition(":")[0] for table in tables] == ["Simulated", "Simulated, incomplete"]


def test_figures_that_no_run_has_are_left_out():
    (summary,) = document([result_of(quality=None)]).summaries
    assert "quality" not in summary.figures
    assert "attainment" in summary.figures


def test_names_of_runs_are_fit_for_files():
    stem = result_of("order=arrival,routing=affinity/x").key.file_stem
    assert stem == "order-arrival-routing-affinity-x-load1-seed0"


@pytest.mark.parametrize("load", [1.0, 0.25])
def test_a_run_is_named_by_policy_load_and_seed(load):
    assert result_of("p", load=load, seed=7).key.text == f"p, load {load:g}, seed 7"


def test_variants_have_summaries_and_tables_of_their_own():
    found = document([result_of(variant="skew 1"), result_of(variant="skew 2"), result_of(variant="skew 2", seed=1)])
    assert [(summary.variant, summary.n) for summary in found.summaries] == [("skew 1", 1), ("skew 2", 2)]
    assert ["skew 1" in table.title for table in tables_of(found)] == [True, False]


def test_many_policies_are_divided_among_tables():
    found = tables_of(document([result_of(f"policy-{number}") for number in range(7)]))
    assert [len(table.headings) - 1 for table in found] == [5, 2]


def test_an_interval_of_qualities_may_go_below_0_and_one_of_latencies_not():
    runs = [
        result_of(seed=seed, quality=quality, slowness=slowness) for seed, quality, slowness in ((0, -1, 1), (1, 3, 90))
    ]
    (summary,) = document(runs).summaries
    assert summary.figures["quality"].low < 0
    assert summary.figures["latency_mean_s"].low == 0
