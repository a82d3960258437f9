import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.simulator.results.figures import Counters
from safelight.simulator.results.tally import Tally
from safelight.simulator.results.timeline import MOST_PERIODS, Timeline
from simulator.results.outcomes import outcome_of

STATUSES = st.sampled_from(["finished", "failed", "cancelled", "rejected", "expired"])
OUTCOMES = st.lists(
    st.builds(
        outcome_of,
        st.floats(0, 1e5),
        st.floats(0, 1e3),
        deadline_s=st.none() | st.floats(0.1, 500),
        status=STATUSES,
    ),
    max_size=40,
)
COUNTERS = Counters(end_s=100.0, worker_s=200.0, busy_s=50.0, adapter_loads=8)


def tallied(outcomes, **settings):
    tally = Tally(quality_of=lambda level: 0.5, **settings)
    for outcome in outcomes:
        tally.add(outcome)
    return tally


@given(OUTCOMES)
def test_every_request_is_counted_once(outcomes):
    figures = tallied(outcomes).figures(COUNTERS)
    ends = (figures.finished, figures.refused, figures.expired, figures.failed, figures.cancelled)
    assert sum(ends) == figures.requests == len(outcomes)


@given(OUTCOMES)
def test_violations_are_what_was_late_or_not_finished(outcomes):
    figures = tallied(outcomes).figures(COUNTERS)
    if not outcomes:
        assert figures.attainment is None
        return
    missed = figures.late + figures.refused + figures.expired + figures.failed + figures.cancelled
    assert figures.violations == pytest.approx(missed / figures.requests)
    assert figures.attainment == pytest.approx(np.mean([outcome.met_deadline for outcome in outcomes]))


def test_percentiles_are_those_of_all_latencies():
    latencies_s = np.random.default_rng(0).exponential(size=500)
    figures = tallied([outcome_of(total_s=each) for each in latencies_s]).figures(COUNTERS)
    assert (figures.latency_p50_s, figures.latency_p99_s) == tuple(np.percentile(latencies_s, (50, 99)))


def test_requests_of_the_warm_up_do_not_count():
    figures = tallied([outcome_of(1.0), outcome_of(5.0, 2.0)], warmup_s=5.0).figures(COUNTERS)
    assert (figures.requests, figures.latency_mean_s) == (1, 2.0)


def test_figures_that_nothing_tells_are_none():
    figures = tallied([outcome_of(status="rejected")]).figures(Counters())
    assert (figures.latency_mean_s, figures.quality, figures.utilization, figures.throughput_per_s) == (None,) * 4


def test_loads_and_utilization_come_from_the_counters():
    figures = tallied([outcome_of(), outcome_of()]).figures(COUNTERS)
    assert (figures.adapter_loads_per_request, figures.utilization, figures.gpu_s) == (4.0, 0.25, 50.0)


@given(OUTCOMES)
def test_a_timeline_loses_no_request_and_stays_short(outcomes):
    timeline = Timeline()
    for outcome in outcomes:
        timeline.add(outcome, None)
    rows = timeline.rows()
    assert len(rows) <= MOST_PERIODS
    assert sum(row.arrived_per_s for row in rows) * timeline.period_s == pytest.approx(len(outcomes))
    finished = sum(outcome.status == "finished" for outcome in outcomes)
    assert sum(sum(row.levels.values()) for row in rows) * timeline.period_s == pytest.approx(finished)


SPANS = st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3), st.booleans()), max_size=20)


@given(SPANS)
def test_a_timeline_loses_no_time_of_workers(spans):
    timeline = Timeline(workers=50)
    timeline.add(outcome_of(), None)
    for start_s, length_s, is_down in spans:
        timeline.add_span(start_s, start_s + length_s, is_down=is_down)
    rows = timeline.rows()
    busy_s = sum(length_s for _, length_s, is_down in spans if not is_down)
    assert sum(row.busy_workers for row in rows) * timeline.period_s == pytest.approx(busy_s, abs=1e-6)


def test_capacity_is_what_ready_workers_could_finish():
    timeline = Timeline(workers=4)
    timeline.add(outcome_of(0.0, 0.5), None)
    timeline.add_span(0.0, 0.5, is_down=False)
    timeline.add_span(1.0, 2.0, is_down=True)
    assert [row.capacity_per_s for row in timeline.rows()] == [8.0, 6.0]
