"""Thresholds from demand: the optimum that DiffServe's integer program has, and what sharing workers allows."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.cascade.cascade import Cascade
from safelight.cascade.thresholds import Waits, partitioned, shared_share

SD_TURBO = {1: 0.1, 2: 0.15, 4: 0.22, 8: 0.41, 16: 0.77, 32: 1.56}
SD_15 = {1: 1.78, 2: 2.16, 4: 3.68, 8: 6.79, 16: 12.88, 32: 25.35}
DEFERRAL = ((0.0, 0.0), (0.005, 0.143), (0.01, 0.2), (0.02, 0.26), (0.05, 0.36), (0.1, 0.449), (0.12, 0.477))
DEFERRAL += ((0.2, 0.582), (0.25, 0.69), (0.3, 0.788), (0.4, 0.878), (0.5, 0.993), (0.6, 1.0))
TURBO = Cascade(name="sd", light="sd-turbo", heavy="sd-1.5", deferral=DEFERRAL)


def planned(demand_per_s, *, workers=16, cascade=TURBO, **settings):
    """DiffServe's plan for its first cascade, on A100s, with a deadline of 5 s."""
    return partitioned(
        cascade, demand_per_s=demand_per_s, workers=workers, light=SD_TURBO, heavy=SD_15, deadline_s=5.0, **settings
    )


@pytest.mark.parametrize(
    ("demand_per_s", "threshold", "share"),
    [(4, 1.0, 1.0), (16, 1.0, 1.0), (20, 0.32, 0.81), (24, 0.23, 0.63), (32, 0.115, 0.469), (64, 0.01, 0.2)],
)
def test_the_plan_for_16_workers_is_that_of_the_published_program(demand_per_s, threshold, share):
    plan = planned(demand_per_s)
    assert plan.share == pytest.approx(share, abs=0.02)
    if threshold < 1:
        assert plan.threshold == pytest.approx(threshold, abs=0.025)


def test_there_is_no_plan_for_a_deadline_that_no_two_calls_meet():
    assert planned(1, waits=Waits(light_s=2.0, heavy_s=2.0)) is None


def exhaustive(demand_per_s, workers, deadline_s, grid):
    """The highest threshold of `grid` over all divisions of the workers and all batch sizes."""
    best = None
    for light_batch, heavy_batch, light_workers in itertools.product(SD_TURBO, SD_15, range(workers + 1)):
        fits = SD_TURBO[light_batch] + SD_15[heavy_batch] <= deadline_s
        serves_light = light_workers * light_batch / SD_TURBO[light_batch] >= demand_per_s
        if fits and serves_light:
            capacity = (workers - light_workers) * heavy_batch / SD_15[heavy_batch]
            served = [threshold for threshold in grid if demand_per_s * TURBO.share(threshold) <= capacity]
            best = max([*served, best] if best is not None else served, default=best)
    return best


@given(demand_per_s=st.floats(0.5, 150), workers=st.integers(1, 12))
def test_the_plan_is_the_best_of_all_divisions_of_the_workers(demand_per_s, workers):
    grid = [step * 0.005 for step in range(121)]
    best, plan = exhaustive(demand_per_s, workers, 5.0, grid), planned(demand_per_s, workers=workers)
    assert (best is None) == (plan is None)
    if plan is not None:
        assert best - 1e-9 <= min(plan.threshold, grid[-1]) < best + 0.005 + 1e-9


@given(demand_per_s=st.floats(0.5, 150), workers=st.integers(1, 16))
def test_workers_that_serve_both_models_can_escalate_at_least_as_much_as_divided_ones(demand_per_s, workers):
    plan = planned(demand_per_s, workers=workers)
    shared = shared_share(
        demand_per_s=demand_per_s, workers=workers, light=SD_TURBO, heavy=SD_15, deadline_s=5.0, utilization=1.0
    )
    assert plan is None or shared >= plan.share - 1e-9


@given(share=st.floats(0, 1))
def test_a_threshold_within_a_share_escalates_no_more(share):
    assert TURBO.share(TURBO.threshold_within(share)) <= share + 1e-9


@given(quantile=st.floats(0, 0.999), threshold=st.floats(0, 0.6))
def test_scores_fall_below_a_threshold_as_often_as_the_curve_says(quantile, threshold):
    is_below = TURBO.score(quantile) < threshold
    assert is_below == (quantile < TURBO.share(threshold)) or abs(quantile - TURBO.share(threshold)) < 1e-6


@pytest.mark.parametrize(
    "deferral", [(), ((0.0, 0.5), (1.0, 0.4)), ((0.0, float("nan")),), ((0.5, 0.1), (0.5, 0.2)), ((0.0, 1.5),)]
)
def test_a_deferral_curve_that_cannot_be_is_refused(deferral):
    with pytest.raises(ValueError, match="deferral curve of 'odd'"):
        Cascade(name="odd", light="a", heavy="b", deferral=deferral)
