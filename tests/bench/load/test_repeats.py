"""Loads that are run several times, what closed loops hide, and what is said of both."""

import asyncio

import msgspec
import numpy as np
import pytest

from bench.makers import make_config, make_requests, null_server, ran, run_of
from safelight.bench.formatting import format_seconds
from safelight.bench.load.runner import StopSignal, run_repeatedly
from safelight.bench.stats.comparison import compare, compare_intervals, summary_of
from safelight.bench.stats.levels import LevelResult
from safelight.bench.stats.metrics import compute_metrics
from safelight.bench.stats.result_file import BenchResult


def repeated(repeats, *, stops_in=None, every_s=0.0, **more):
    """Run five requests so often; `stops_in` is the turn in which somebody has had enough."""
    said, stop = [], StopSignal()

    async def main():
        async with null_server(fixed_s=0.01) as url:
            config = make_config(url, make_requests(5, every_s=every_s), **more)
            return await run_repeatedly(
                lambda _: config,
                repeats=repeats,
                stop=stop,
                on_progress=lambda turn, _: stop() if turn == stops_in else None,
                notify=said.append,
            )

    return asyncio.run(main()), said


def test_warm_ups_come_before_the_first_run_only():
    runs, said = repeated(3, warm_up_rounds=1)
    assert [len(run.records) for run in runs] == [5, 5, 5]
    assert len(said) == 1


def test_a_load_that_is_stopped_in_a_later_run_keeps_what_it_has():
    runs, _ = repeated(4, stops_in=1, every_s=0.2)
    metrics = compute_metrics(*runs)
    assert metrics["partial"]
    assert [len(run.records) for run in runs] == [5, len(runs[1].records), 0, 0]
    assert 5 < metrics["completed_requests"] < 10
    assert metrics["completed_requests"] + metrics["cancelled_requests"] + metrics["unsent_requests"] == 20


def test_a_stop_that_comes_after_the_last_answer_of_a_run_is_not_lost():
    runs, _ = repeated(3, stops_in=0)
    assert [len(run.records) for run in runs] == [5, 0, 0]
    assert len(compute_metrics(*runs)["runs"]) == 1


def test_figures_of_runs_are_those_of_all_their_requests():
    runs = [run_of([1.0, 2.0], deadline_s=1.5), run_of([3.0, 1.0, 1.0], deadline_s=1.5)]
    metrics = compute_metrics(*runs)
    assert metrics["latencies_s"] == [1.0, 2.0, 3.0, 1.0, 1.0]
    assert metrics["duration"] == sum(run.duration_s for run in runs)
    assert metrics["throughput_qps"] == pytest.approx(5 / metrics["duration"])
    assert metrics["slo_attainment_rate"] == 0.6
    assert [run["completed_requests"] for run in metrics["runs"]] == [2, 3]
    assert [run["slo_attainment_rate"] for run in metrics["runs"]] == [0.5, pytest.approx(2 / 3)]


def test_a_closed_loop_tells_what_users_would_have_felt():
    metrics = compute_metrics(run_of([1.0] * 30, deadline_s=2.0, waits_s=5.0, max_concurrency=1))
    assert (metrics["latency_p95"], metrics["slo_attainment_rate"]) == (pytest.approx(1.0), 1.0)
    assert (metrics["latency_since_due_p95"], metrics["slo_attainment_rate_since_due"]) == (pytest.approx(6.0), 0.0)


def test_a_rate_that_only_a_limit_makes_bearable_does_not_hold():
    metrics = compute_metrics(run_of([1.0] * 30, deadline_s=2.0, waits_s=5.0, max_concurrency=1))
    assert not LevelResult(level=1.0, metrics=metrics).holds(0.99)


@pytest.mark.parametrize("more", [{"max_concurrency": 1, "every_s": 0.0}, {"max_concurrency": None, "every_s": 1.0}])
def test_where_no_limit_hides_a_wait_nothing_is_told_of_it(more):
    assert not [name for name in compute_metrics(run_of([1.0] * 3, deadline_s=2.0, **more)) if "since_due" in name]


def test_the_wait_of_a_closed_loop_is_within_the_time_since_due():
    done = ran(null_server(fixed_s=0.02), make_requests(4, every_s=0.001), max_concurrency=1)
    assert all(r.since_due_s >= 0.02 * location - r.due_s for location, r in enumerate(done.records, 1))
    assert max(r.since_due_s for r in done.records) >= 4 * 0.02 - 0.004


def result_of(*runs):
    return msgspec.convert(compute_metrics(*runs), BenchResult)


def compared(a, b):
    latencies_s = [[np.array([r.latency_s for r in run.records if r.is_success]) for run in runs] for runs in (a, b)]
    return {each.name: each for each in [*compare(*latencies_s), *compare_intervals(result_of(*a), result_of(*b))]}


def noisy(middle, *, rng, **more):
    return run_of(middle + 0.1 * rng.random(100), deadline_s=1.5, **more)


def test_runs_that_differ_as_much_as_the_sides_make_no_difference_sure():
    rng = np.random.default_rng(0)
    a, b = ([noisy(middle, rng=rng) for middle in middles] for middles in ((1.0, 1.4, 1.2), (1.1, 1.3, 1.5)))
    assert not compared(a, b)["latency_mean"].is_sure
    pooled = [[np.concatenate([[r.latency_s for r in run.records] for run in runs])] for runs in (a, b)]
    rng.shuffle(pooled[0][0])
    rng.shuffle(pooled[1][0])
    assert compare(*pooled)[0].is_sure


def test_a_faster_side_is_told_in_one_sentence():
    rng = np.random.default_rng(1)
    found = compared([noisy(1.0, rng=rng)], [noisy(0.5, rng=rng)])
    words = summary_of([*found.values()])
    assert words.startswith("B is faster: its median latency is 0.52")
    assert words.endswith("sure to more than 99.9 %.")


def test_what_speaks_against_a_faster_side_is_told_with_it():
    rng = np.random.default_rng(2)
    found = compared([noisy(1.0, rng=rng)], [noisy(0.5, rng=rng, failed=set(range(40)))])
    assert found["failed_share"].verdict == "B is worse"
    assert "but throughput_qps" in summary_of([*found.values()])
    assert "failed_share is 0.4 in place of 0" in summary_of([*found.values()])


def test_equal_sides_have_no_difference_that_is_sure():
    rng = np.random.default_rng(3)
    a = [noisy(1.0, rng=rng)]
    found = compared(a, a)
    assert not any(each.is_sure for each in found.values())
    assert found["slo_attainment_rate"].chance == 0.5
    assert summary_of([*found.values()]).startswith("No difference in speed that is sure")


@pytest.mark.parametrize(
    ("value_s", "words"),
    [(0, "0 s"), (0.0015234, "1.52 ms"), (0.9994, "999 ms"), (1.2346, "1.235 s"), (3600.0, "3,600 s")],
)
def test_times_below_a_second_are_told_in_milliseconds(value_s, words):
    assert format_seconds(value_s) == words
