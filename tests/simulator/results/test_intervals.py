import numpy as np
import pytest
from scipy import stats

from safelight.simulator.results.intervals import estimate


def test_the_interval_is_that_of_student():
    values = [3.0, 4.0, 6.0, 6.5]
    found = estimate(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high, found.n) == (pytest.approx(low), pytest.approx(high), 4)


def test_one_run_has_no_interval():
    assert (estimate([2.0]).mean, estimate([2.0]).low, estimate([2.0]).high) == (2.0, None, None)


def test_runs_without_the_figure_do_not_count():
    assert estimate([None, 2.0]).n == 1
    assert estimate([None]) is None


def test_an_interval_is_cut_at_what_is_possible():
    found = estimate([0.1, 0.9], least=0.0, most=1.0)
    assert (found.low, found.high) == (0.0, 1.0)


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = [found.low <= 100 <= found.high for found in map(estimate, rng.normal(100, size=(4000, 3)).tolist())]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
