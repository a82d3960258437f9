"""Descriptions against a literal count of the rows, and against published figures."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.traces.describing import AdapterCount, describe
from safelight.traces.errors import NoSuchService
from safelight.traces.reading import Trace, open_trace
from safelight.traces.schema import conform
from traces.makers import tables

FEW = st.sampled_from("abc")
FIELDS = {
    **dict.fromkeys(("service", "instance", "tenant", "base_model", "task"), FEW),
    **dict.fromkeys(
        ("controlnets", "loras"),
        st.lists(st.fixed_dictionaries({"name": st.none() | FEW, "scale": st.none()}), max_size=3),
    ),
}


def described(table, **options):
    return describe(Trace(frame=table.lazy(), path=Path("a test"), source="a test"), **options)


def known(rows, name):
    return Counter(row[name] for row in rows if row[name] is not None)


def without_mean(facts):
    durations = facts.durations and msgspec.structs.replace(facts.durations, mean=0.0)
    return msgspec.structs.replace(facts, durations=durations)


def check_facts(facts, rows):
    """Count as the published script does, row by row."""
    assert facts.requests == len(rows)
    models = known(rows, "base_model")
    assert facts.base_models == len(models)
    common = {name: count for name, count in models.items() if count / models.total() > 0.01}
    assert {model.name: model.requests for model in facts.common_base_models} == common
    assert (facts.instances, facts.tenants) == (len(known(rows, "instance")), len(known(rows, "tenant")))
    assert (facts.tasks, facts.statuses) == (known(rows, "task"), known(rows, "status"))
    for adapters, kind in ((facts.controlnets, "controlnets"), (facts.loras, "loras")):
        lengths = Counter(len(row[kind] or ()) for row in rows)
        assert {each.adapters: each.requests for each in adapters.per_request} == lengths
        assert [each.share for each in adapters.per_request] == [lengths[n] / len(rows) for n in sorted(lengths)]
        assert adapters.unknown == sum(row[kind] is None for row in rows)
        names = [adapter["name"] for row in rows for adapter in row[kind] or ()]
        assert (adapters.invocations, adapters.distinct) == (len(names), len(set(names) - {None}))


@given(table=tables(fields=FIELDS, min_size=1))
def test_facts_are_what_a_literal_count_gives(table):
    rows = table.to_dicts()
    description = described(table)
    check_facts(description.whole, rows)
    assert [facts.service for facts in description.services] == sorted(known(rows, "service"))
    for facts in description.services:
        check_facts(facts, [row for row in rows if row["service"] == facts.service])


@given(table=tables(fields=FIELDS, min_size=1, required=("service",)))
def test_one_service_is_described_as_it_is_among_all(table):
    first = described(table).services[0]
    alone = described(table, service=first.service).whole
    assert without_mean(alone) == without_mean(first)
    if first.durations is not None:  # floats are added up in whatever order threads have them
        assert alone.durations.mean == pytest.approx(first.durations.mean)


@given(values=st.lists(st.none() | st.integers(0, 5000), min_size=1, max_size=200))
def test_quantiles_are_the_smallest_values_that_cover_their_share(values):
    durations = described(conform(pl.LazyFrame({"duration_s": values})).collect()).whole.durations
    times = [value for value in values if value is not None]
    if not times:
        assert durations is None
        return
    expected = np.quantile(times, [0.5, 0.95, 0.99], method="inverted_cdf").tolist()
    assert [durations.p50, durations.p95, durations.p99] == expected
    assert (durations.known, durations.mean, durations.max) == (len(times), pytest.approx(np.mean(times)), max(times))


def test_counts_of_adapters_that_few_requests_have_are_marked():
    lists = [["a"]] * 100 + [["a", "b"]] * 99
    facts = described(conform(pl.LazyFrame({"controlnets": lists})).collect()).whole
    assert facts.controlnets.per_request == (
        AdapterCount(adapters=1, requests=100, share=100 / 199, is_rare=False),
        AdapterCount(adapters=2, requests=99, share=99 / 199, is_rare=True),
    )


def test_the_rate_is_that_from_the_first_arrival_to_the_last():
    facts = described(conform(pl.LazyFrame({"arrival_s": [10.0, 11.0, 14.0]})).collect()).whole
    assert (facts.first_s, facts.last_s, facts.rate) == (10.0, 14.0, 0.75)


def test_requests_without_time_have_no_rate():
    facts = described(conform(pl.LazyFrame({"service": ["A", "A"]})).collect()).whole
    assert (facts.first_s, facts.last_s, facts.rate) == (None, None, None)


def test_a_trace_without_requests_is_described():
    assert described(conform(pl.LazyFrame()).collect()).whole.requests == 0


def test_a_service_that_has_no_requests_is_refused():
    with pytest.raises(NoSuchService, match="'a'; there is 'A'"):
        described(conform(pl.LazyFrame({"service": ["A"]})).collect(), service="a")


def test_the_published_gentd26_is_described_as_others_found_it(published):
    whole = describe(open_trace(published("gentd26/requests.csv"))).whole
    assert (whole.requests, whole.base_models, whole.tenants) == (26_823, 86, 4_247)
    shares = {each.adapters: each.share for each in whole.loras.per_request}
    assert [round(shares[0], 2), round(shares[1], 2), round(1 - shares[0] - shares[1], 2)] == [0.83, 0.16, 0.01]
    assert (whole.durations.p50, whole.durations.p95, whole.durations.p99) == (23, 69, 106)


def test_predictions_are_compared_with_durations_of_finished_requests_only():
    rows = {
        "status": ["finished", "finished", "finished", "failed", "finished"],
        "duration_s": [2.0, 3.0, 1.0, 9.0, 9.0],
        "predicted_s": [1.0, 3.5, 1.0, 1.0, None],
    }
    found = described(conform(pl.LazyFrame(rows)).collect()).whole.predictions
    assert (found.known, found.p5, found.p50, found.p95) == (3, -0.5, 0.0, 1.0)
    assert found.mean == pytest.approx(0.5 / 3)
    assert found.longer == pytest.approx(1 / 3)


def test_a_trace_without_predictions_says_nothing_of_them():
    assert described(conform(pl.LazyFrame({"duration_s": [1.0]})).collect()).whole.predictions is None
