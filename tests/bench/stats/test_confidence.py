"""How sure figures are: intervals hold the truth about as often as they say, and never look surer than they may."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from bench.makers import run_of
from safelight.bench.stats.intervals import intervals_of
from safelight.bench.stats.levels import LevelResult, capacity_of, sample_size_note
from safelight.bench.stats.metrics import compute_metrics
from safelight.bench.stats.resampling import (
    difference_interval,
    effective_size,
    interval,
    requests_for_confidence,
    resampled,
    share_interval,
)


def alike(count, rng, *, rho):
    """Values of mean 0 and variance 1, of which each is like the one before."""
    shocks = rng.normal(size=count) * np.sqrt(1 - rho**2)
    values = np.empty(count)
    values[0] = rng.normal()
    for location in range(1, count):
        values[location] = rho * values[location - 1] + shocks[location]
    return values


def queue(count, rng, *, load):
    """Latencies of a queue before one machine that takes 1 s, by Lindley's recursion."""
    gaps_s = rng.exponential(size=count) / load
    waits_s = np.zeros(count)
    for location in range(1, count):
        waits_s[location] = max(0.0, waits_s[location - 1] + 1 - gaps_s[location])
    return waits_s + 1


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_the_interval_of_a_mean_holds_the_truth_about_as_often_as_it_says(rho):
    rng = np.random.default_rng(0)
    series = [np.exp(0.5 * alike(500, rng, rho=rho)) for _ in range(100)]
    bounds = [interval(resampled([each], np.mean, rng=rng, draws=100)) for each in series]
    assert sum(low <= np.exp(0.125) <= high for low, high in bounds) >= 86


def test_runs_that_differ_make_figures_less_sure_than_their_requests_alone():
    rng = np.random.default_rng(1)
    runs = [rng.normal(loc=shift, size=200) for shift in (10, 11, 12, 13)]
    of_runs = interval(resampled(runs, np.mean, rng=rng))
    pooled = interval(resampled([rng.permutation(np.concatenate(runs))], np.mean, rng=rng))
    assert np.diff(of_runs)[0] > 3 * np.diff(pooled)[0]


def test_the_mean_of_runs_that_differ_is_held_by_its_interval():
    rng = np.random.default_rng(2)
    loads = [[rng.normal() + rng.normal(size=100) for _ in range(8)] for _ in range(60)]
    bounds = [interval(resampled(runs, np.mean, rng=rng, draws=100)) for runs in loads]
    assert sum(low <= 0 <= high for low, high in bounds) >= 51


def test_the_mean_of_three_runs_that_differ_is_held_by_its_interval():
    rng = np.random.default_rng(7)
    loads = [[10 + rng.normal() + rng.normal(size=50) for _ in range(3)] for _ in range(100)]
    bounds = [interval(resampled(runs, np.mean, rng=rng, draws=100)) for runs in loads]
    assert sum(low <= 10 <= high for low, high in bounds) >= 90


def test_the_share_of_three_runs_that_differ_is_held_by_its_interval():
    rng = np.random.default_rng(8)
    shares = rng.beta(20, 2, size=(200, 3))
    loads = [[(rng.random(200) < share).astype(float) for share in runs] for runs in shares]
    bounds = [share_interval(float(np.mean(runs)), effective_size(runs)) for runs in loads]
    assert sum(low <= 20 / 22 <= high for low, high in bounds) >= 172


def test_a_single_miss_in_one_of_two_runs_does_not_make_them_differ():
    runs = np.ones((2, 500))
    runs[0, 3] = 0.0
    assert effective_size(runs) > 900


def test_blocks_are_as_long_as_the_figure_needs_that_depends_the_longest():
    rng = np.random.default_rng(9)
    lasting = alike(1000, rng, rho=0.95)
    both = np.column_stack([rng.normal(size=1000), lasting])
    widths = [
        np.diff(interval(resampled([values], lambda drawn: drawn.mean(axis=0)[..., -1], rng=rng)))[0]
        for values in (both, lasting[:, None])
    ]
    assert widths[0] > 0.8 * widths[1]


@given(st.integers(1, 500), st.floats(0, 1))
def test_a_share_of_independent_requests_has_the_exact_interval(count, part):
    hits = round(part * count)
    exact = binomtest(hits, count).proportion_ci(0.95, "exact")
    assert share_interval(hits / count, count) == pytest.approx((exact.low, exact.high), abs=1e-6)


@given(st.floats(0.5, 0.9999))
def test_so_many_requests_without_a_miss_make_a_share_sure_and_one_less_does_not(target):
    count = requests_for_confidence(target)
    assert share_interval(1.0, count)[0] >= target - 1e-12
    assert share_interval(1.0, count - 1)[0] < target if count > 1 else True


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60), min_size=1, max_size=4))
def test_requests_never_tell_more_than_as_many_independent_ones(runs):
    size = effective_size([np.array(run) for run in runs])
    assert 0 < size <= sum(map(len, runs)) * (1 + 1e-9)


def test_independent_requests_tell_about_as_much_as_they_are():
    flags = (np.random.default_rng(3).random(2000) < 0.9).astype(float)
    assert effective_size([flags]) > 1500


def test_requests_that_miss_together_tell_less():
    flags = np.repeat((np.random.default_rng(4).random(200) < 0.9).astype(float), 10)
    assert effective_size([flags]) < 400


def test_runs_that_miss_apart_tell_as_little_as_they_are_few():
    assert effective_size([np.ones(500), np.ones(500), np.zeros(500)]) < 3


@pytest.mark.parametrize(("load", "deadline_s"), [(0.5, 4.0), (0.8, 8.0)])
def test_the_attainment_of_a_queue_is_seldom_outside_its_interval(load, deadline_s):
    rng = np.random.default_rng(5)
    truth = np.mean([queue(300, rng, load=load) <= deadline_s for _ in range(200)])
    loads = [[run_of(queue(300, rng, load=load), deadline_s=deadline_s) for _ in range(3)] for _ in range(25)]
    bounds = [intervals_of(runs).bounds["slo_attainment_rate"] for runs in loads]
    assert sum(low <= truth <= high for low, high in bounds) >= 21


def test_a_run_without_a_miss_that_came_close_is_less_sure_than_one_that_did_not():
    far, near = np.full(300, 1.0), np.full(300, 1.0)
    near[100:130] = 3.9
    sizes = [intervals_of([run_of(each, deadline_s=4.0)]).sizes["slo_attainment_rate"] for each in (far, near)]
    assert sizes[0] == 300
    assert sizes[1] < 60


def test_newcombes_example_of_a_difference_of_shares():
    """The tenth method of Newcombe (1998), 56 of 70 against 48 of 80: 0.0524 to 0.3339."""
    bounds = [binomtest(*each).proportion_ci(0.95, "wilson") for each in ((48, 80), (56, 70))]
    found = difference_interval(48 / 80, 56 / 70, *((each.low, each.high) for each in bounds))
    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_throughput_and_goodput_lie_within_their_intervals():
    rng = np.random.default_rng(6)
    runs = [run_of(rng.exponential(size=80), deadline_s=1.0, failed={3, 4}) for _ in range(2)]
    metrics = compute_metrics(*runs)
    for name in ("throughput_qps", "goodput_qps"):
        low, high = metrics["confidence"][name]
        assert low < metrics[name] < high


shares = st.floats(0, 1).map(lambda share: round(share, 2))


def points_of(facts):
    return [
        LevelResult(
            level=float(level),
            metrics={
                "slo_attainment_rate": middle,
                "confidence": {"slo_attainment_rate": [low, high]},
                "effective_requests": {"slo_attainment_rate": 50.0},
            },
        )
        for level, (low, middle, high) in enumerate(map(sorted, facts), 1)
    ]


@given(st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=6))
def test_what_is_sure_never_contradicts_itself(facts):
    found = capacity_of(points_of(facts), target=0.9)
    if found.surely_held is not None and found.surely_missed is not None:
        assert found.surely_held < found.surely_missed


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ((0.95, 0.97, 0.99), "held"),
        ((0.85, 0.95, 0.99), "held, unsure"),
        ((0.80, 0.85, 0.95), "missed, unsure"),
        ((0.10, 0.20, 0.30), "missed"),
    ],
)
def test_an_interval_on_both_sides_of_the_target_is_unsure(bounds, verdict):
    (point,) = points_of([bounds])
    assert point.verdict(0.9) == verdict


def test_too_few_requests_for_a_target_are_told_with_how_many_it_takes():
    points = points_of([(0.9, 1.0, 1.0)])
    assert "368 independent requests" in sample_size_note(points, target=0.99)
    assert sample_size_note(points, target=0.9) == ""
