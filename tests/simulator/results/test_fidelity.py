import polars as pl
import pytest

from safelight.simulator.results.fidelity import errors_of, measured_of
from safelight.simulator.results.intervals import Estimate
from safelight.traces.schema import conform

ROWS = [
    {"arrival_s": 100.0, "status": "finished", "duration_s": 2.0, "queue_s": 0.5, "deadline_s": 3.0},
    {"arrival_s": 101.0, "status": "finished", "duration_s": 4.0, "queue_s": 1.5, "deadline_s": 3.0},
    {"arrival_s": 102.0, "status": "finished", "duration_s": 3.0, "queue_s": 1.0, "deadline_s": None},
    {"arrival_s": 103.0, "status": "rejected", "duration_s": 0.0, "queue_s": 0.0, "deadline_s": 3.0},
]


def measured(rows=ROWS):
    return measured_of(conform(pl.LazyFrame(rows)).collect(), left_out=0)


def test_figures_of_a_log_mean_the_same_as_those_of_a_run():
    found = measured()
    assert (found.requests, found.finished, found.refused, found.late) == (4, 3, 1, 1)
    assert (found.attainment, found.violations) == (0.5, 0.5)
    assert (found.latency_mean_s, found.latency_p50_s, found.queue_mean_s) == (3.0, 3.0, 1.0)
    assert found.throughput_per_s == pytest.approx(3 / 5)
    assert not found.simulated


def test_errors_are_shares_of_latencies_and_differences_of_attainment():
    predicted = {
        name: Estimate(mean=mean, low=None, high=None, n=1)
        for name, mean in {"latency_mean_s": 3.3, "attainment": 0.6, "queue_mean_s": 9.0}.items()
    }
    assert errors_of(predicted, measured()) == {"latency_mean_s": pytest.approx(0.1), "attainment": pytest.approx(0.1)}


def test_a_log_without_a_finished_request_has_no_latency():
    assert measured(ROWS[3:]).latency_mean_s is None
