import numpy as np
import polars as pl
import pytest
from hypothesis import given

from safelight.traces.analyses.arrivals import arrivals
from safelight.traces.analyses.burstiness import burstiness
from safelight.traces.analyses.gaps import FAMILIES, bin_gaps, fit, gaps
from safelight.traces.analyses.working_set import working_set
from traces.busy import busy_rows, trace_of

DAY_S = 86400
DRAWS = {
    "exponential": lambda luck, count: luck.exponential(20, count),
    "gamma": lambda luck, count: luck.gamma(0.4, 50, count),
    "lognormal": lambda luck, count: luck.lognormal(2, 1.5, count),
    "Weibull": lambda luck, count: 20 * luck.weibull(0.6, count),
}
SHAPES = {"exponential": None, "gamma": 0.4, "lognormal": 1.5, "Weibull": 0.6}


def arriving_at(times):
    return trace_of([{"arrival_s": float(time)} for time in times])


@given(rows=busy_rows.filter(bool))
def test_every_arrival_is_in_one_window(rows):
    table = arrivals(trace_of(rows)).table
    assert table["requests"].sum() == len(rows)
    assert table["start_s"].diff().drop_nulls().n_unique() <= 1


def test_hours_of_a_trace_of_days_begin_at_full_hours_also_where_nothing_arrives():
    table = arrivals(arriving_at([100.0, 3 * DAY_S])).table
    assert (len(table), table["start_s"][1], table["requests"].to_list()[:2]) == (73, 3600.0, [1, 0])


def test_the_hour_of_the_day_is_told_as_utc_where_the_trace_tells_the_date():
    at_noon = 1_750_000_000 // DAY_S * DAY_S + DAY_S / 2
    findings = arrivals(arriving_at([at_noon + day * DAY_S + second for day in range(4) for second in (1, 2)])).findings
    assert any("begins at 12:00" in finding and "(UTC)" in finding for finding in findings)


@pytest.mark.parametrize("unit_s", [1e3, 1e9, 1e300])
def test_times_that_can_hardly_be_seconds_are_told(unit_s):
    for ask in (arrivals, burstiness, working_set):
        result = ask(arriving_at([0, 1.75e9 * unit_s]))
        assert (result.table.is_empty(), "which can hardly be seconds" in result.findings[0]) == (True, True)


def test_arrivals_at_equal_distances_are_not_dispersed():
    table = burstiness(arriving_at(range(0, 20_000, 2))).table
    assert table.filter(pl.col("window_s") >= 10)["dispersion"].max() < 0.01


def test_poisson_arrivals_have_dispersion_one_over_every_window():
    times = np.random.default_rng(1).exponential(1, 50_000).cumsum()
    table = burstiness(arriving_at(times)).table.filter(pl.col("windows") > 500)
    assert table["dispersion"].to_numpy() == pytest.approx(1, abs=0.15)


def test_pairs_of_poisson_arrivals_have_dispersion_two_over_every_window():
    times = np.random.default_rng(1).exponential(1, 50_000).cumsum().repeat(2)
    table = burstiness(arriving_at(times)).table.filter(pl.col("windows") > 500)
    assert table["dispersion"].to_numpy() == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("clock_s", [0, 1])
def test_the_family_that_gaps_are_drawn_from_is_found_with_its_shape(family, clock_s):
    times = DRAWS[family](np.random.default_rng(1), 20_000).cumsum()
    found = fit(family, bin_gaps(np.diff(np.floor(times) if clock_s else times)))
    assert found.distance < 0.02
    assert found.shape == (None if SHAPES[family] is None else pytest.approx(SHAPES[family], rel=0.1))


@pytest.mark.parametrize("family", ["gamma", "lognormal", "Weibull"])
def test_the_nearest_family_comes_first_after_what_is_observed(family):
    table = gaps(arriving_at(DRAWS[family](np.random.default_rng(2), 20_000).cumsum())).table
    assert table["gaps"].to_list()[:2] == ["observed", family]


def test_quantiles_of_the_right_family_are_those_observed():
    table = gaps(arriving_at(DRAWS["gamma"](np.random.default_rng(3), 50_000).cumsum())).table
    observed, fitted = (table.row(by_predicate=pl.col("gaps") == name, named=True) for name in ("observed", "gamma"))
    assert [fitted[name] for name in ("p50_s", "p90_s", "p99_s")] == pytest.approx(
        [observed[name] for name in ("p50_s", "p90_s", "p99_s")], rel=0.05
    )
