"""What is used together, how many are in use at a time, and how soon again, against literal restatements."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given

from safelight.traces.analyses.cooccurrence import cooccurrence
from safelight.traces.analyses.reuse import reuse
from safelight.traces.analyses.working_set import working_set
from traces.busy import busy_rows, named, trace_of


def is_of_loras(row):
    return row["adapters"] == "LoRA"


@given(rows=busy_rows)
def test_pairs_are_counted_once_for_each_request_that_names_both(rows):
    table = cooccurrence(trace_of(rows)).table
    counted = Counter(pair for row in rows for pair in combinations(sorted(named(row["loras"])), 2))
    found = {(row["a"], row["b"]): row["requests"] for row in table.rows(named=True) if is_of_loras(row)}
    assert found == counted


@given(rows=busy_rows)
def test_lift_is_how_much_likelier_a_pair_is_than_by_chance(rows):
    each = Counter(name for row in rows for name in named(row["loras"]))
    for row in cooccurrence(trace_of(rows)).table.rows(named=True):
        if is_of_loras(row):
            chance = each[row["a"]] / len(rows) * each[row["b"]] / len(rows)
            assert row["lift"] == pytest.approx(row["share"] / chance)


def test_adapters_that_never_come_alone_are_told():
    rows = [{"loras": ["a", "b"]}] * 12 + [{"loras": ["a", "c"]}] * 10 + [{"loras": ["c"]}] * 3
    assert "Of 2 pairs in 10 or more requests, 1 hold" in cooccurrence(trace_of(rows)).findings[0]


@given(rows=busy_rows)
def test_adapters_in_use_and_new_ones_are_counted_by_window(rows):
    seen, expected = set(), []
    for start in sorted({row["arrival_s"] for row in rows}):
        uses = [name for row in rows if row["arrival_s"] == start for name in named(row["loras"])]
        if uses:
            expected.append((start, len(uses), len(set(uses)), len(set(uses) - seen)))
        seen |= set(uses)
    told = [row for row in working_set(trace_of(rows), window="second").table.rows(named=True) if is_of_loras(row)]
    assert [(row["start_s"], row["uses"], row["distinct"], row["new"]) for row in told] == expected


def test_an_adapter_is_new_in_the_first_window_that_uses_it_only():
    rows = [{"arrival_s": time, "loras": names} for time, names in ((0.0, ["a"]), (70.0, ["a", "b"]), (130.0, ["b"]))]
    table = working_set(trace_of(rows), window="minute").table
    assert table.select("distinct", "new", "uses_of_new").rows() == [(1, 1, 1), (2, 1, 1), (1, 0, 0)]


@given(rows=busy_rows)
@pytest.mark.parametrize("within", ["service", "instance"])
def test_time_and_requests_since_the_last_use_are_those_counted_by_hand(rows, within):
    last, seconds, requests, turns = {}, [], [], Counter()
    for number, row in enumerate(rows):
        place = row["instance"] if within == "instance" else "everywhere"
        turn = turns[place] if within == "instance" else number
        turns[place] += 1
        for name in named(row["loras"]) if place is not None else ():
            if (place, name) in last:
                seconds.append(row["arrival_s"] - last[place, name][0])
                requests.append(turn - last[place, name][1])
            last[place, name] = row["arrival_s"], turn
    table = {
        row["unit"]: row
        for row in reuse(trace_of(rows)).table.rows(named=True)
        if is_of_loras(row) and row["within"] == within
    }
    assert set(table) == ({"seconds", "requests"} if seconds else set())
    for unit, values in (("seconds", seconds), ("requests", requests)):
        if values:
            assert (table[unit]["repeats"], table[unit]["p50"]) == (len(values), pytest.approx(np.median(values)))
