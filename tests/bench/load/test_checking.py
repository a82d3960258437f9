"""What is made of records: figures, conditions, comparisons, searches, pages."""

import itertools
import json
from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.makers import make_config, make_requests, null_server, ran, run_of
from fakes import odd_server as odd
from safelight.bench.endpoints.videos import Videos
from safelight.bench.errors import BadRequirement, BadResult
from safelight.bench.media.decoding import frames_of
from safelight.bench.records import Record
from safelight.bench.report.page import plots_of, write_page, write_plots
from safelight.bench.report.plots import timeline
from safelight.bench.report.request_log import AT_A_TIME, tables_of, write_log
from safelight.bench.requests import RequestedAdapter
from safelight.bench.run import Run
from safelight.bench.stats.comparison import compare
from safelight.bench.stats.levels import CapacitySearch, LevelResult, capacity_of
from safelight.bench.stats.metrics import compute_metrics
from safelight.bench.stats.requirements import check_possible, parse
from safelight.bench.stats.resampling import interval, resampled


def test_failures_count_as_missed_and_not_as_throughput():
    async def every_other(reader, writer):
        for number in itertools.count():
            await odd.read_request(reader)
            writer.write(odd.answer(odd.picture() if number % 2 else "{}", status="200 OK" if number % 2 else "500 No"))

    done = ran(odd.odd_server(every_other), make_requests(4, deadline_s=10.0), max_concurrency=1, checks_pictures=False)
    metrics = compute_metrics(done)
    assert (metrics["completed_requests"], metrics["failed_requests"]) == (2, 2)
    assert (metrics["slo_attainment_rate"], metrics["slo_met_success"]) == (0.5, 2)
    assert metrics["throughput_qps"] == pytest.approx(2 / metrics["duration"])
    assert metrics["failures"]["server_error"]["count"] == 2
    assert metrics["failures"]["server_error"]["samples"] == ["status 500: {}"]


def test_latencies_are_numpys_quantiles_of_successes():
    rng = np.random.default_rng(0)
    latencies_s, failed = rng.exponential(size=30), {3, 7, 29}
    metrics = compute_metrics(run_of(latencies_s + 100 * np.isin(np.arange(30), [*failed]), failed=failed))
    good = np.delete(latencies_s, [*failed])
    for share in (50, 90, 95, 99):
        assert metrics[f"latency_p{share}"] == pytest.approx(np.quantile(good, share / 100))
    assert metrics["latency_mean"] == pytest.approx(np.mean(good))


def test_an_interval_holds_the_figure_itself():
    metrics = compute_metrics(run_of(np.random.default_rng(1).exponential(size=30)))
    low, high = metrics["confidence"]["latency_p50"]
    assert low <= metrics["latency_p50"] <= high


@given(
    latencies_s=st.lists(st.just(0.0) | st.floats(1e-9, 1e6), max_size=40),
    deadlines_s=st.sampled_from([None, 0.0, 5e-324, 1.0]),
    every_s=st.sampled_from([0.0, 1.0]),
    max_concurrency=st.sampled_from([None, 1]),
    failed=st.sets(st.integers(0, 40)),
)
def test_every_figure_of_any_load_is_a_finite_number(latencies_s, deadlines_s, every_s, max_concurrency, failed):
    run = run_of(
        latencies_s,
        deadline_s=deadlines_s,
        every_s=every_s,
        waits_s=every_s,
        failed=failed,
        max_concurrency=max_concurrency,
    )
    assert json.dumps(compute_metrics(run, run), allow_nan=False)


def test_a_deadline_of_nothing_is_met_by_nobody_who_takes_time():
    metrics = compute_metrics(run_of([1.0, 2.0], deadline_s=0.0))
    assert metrics["slo_attainment_rate"] == 0.0
    assert metrics["confidence"]["slo_attainment_rate"][0] == 0.0


def test_a_load_that_is_sent_at_once_has_no_interval_of_throughput():
    latencies_s = 0.1 + 0.001 * np.arange(50)
    at_once, in_turn = (
        compute_metrics(run_of(latencies_s, every_s=0.0, max_concurrency=max_concurrency))
        for max_concurrency in (None, 1)
    )
    assert "throughput_qps" not in at_once["confidence"]
    assert "throughput_qps" in in_turn["confidence"]


def test_requests_that_were_not_waited_for_make_no_rate_less_sure():
    requests = make_requests(60, every_s=1.0, deadline_s=0.5)
    records = [
        Record(request=request, due_s=n, released_s=n, sent_s=n, done_s=n + 1.0) for n, request in enumerate(requests)
    ]
    cut = [
        Record(request=request, due_s=60.0, released_s=60.0, sent_s=60.0, done_s=60.0, failure="cancelled")
        for request in requests
    ]
    config = make_config("http://nowhere", [*requests, *requests])
    sure = compute_metrics(Run(config=config, records=[*records, *cut], duration_s=60.0, began_at=0.0))["confidence"]
    assert sure["throughput_qps"] == pytest.approx([1.0, 1.0])
    assert "goodput_qps" not in sure


def test_adapters_in_another_order_are_the_same_group():
    requests = [
        msgspec.structs.replace(request, loras=tuple(map(RequestedAdapter, names)))
        for request, names in zip(make_requests(3), ("ab", "ba", "a"), strict=True)
    ]
    records = [Record(request=request, due_s=0.0, released_s=0.0, sent_s=0.0, done_s=1.0) for request in requests]
    run = Run(config=make_config("http://nowhere", requests), records=records, duration_s=1.0, began_at=0.0)
    assert {name: group["requests"] for name, group in compute_metrics(run)["by_adapters"].items()} == {
        "a + b": 2,
        "a": 1,
    }


def log_of(run):
    return pl.concat(tables_of([run], task="t2i"))


def test_a_log_of_requests_with_times_replays_them_whatever_a_limit_held_back():
    table = log_of(run_of([1.0, 2.0, 3.0], every_s=2.0, waits_s=5.0, max_concurrency=1))
    assert table["arrival_s"].to_list() == [0.0, 2.0, 4.0]
    assert table["duration_s"].to_list() == [6.0, 7.0, 8.0]


def test_a_log_of_requests_without_times_replays_when_a_limit_let_them_through():
    table = log_of(run_of([1.0, 2.0], every_s=0.0, waits_s=5.0, max_concurrency=1))
    assert table["arrival_s"].to_list() == [5.0, 5.0]
    assert table["duration_s"].to_list() == [1.0, 2.0]


def test_the_queue_in_a_log_begins_at_the_arrival():
    run = run_of([3.0], every_s=1.0, waits_s=5.0, max_concurrency=1)
    record = msgspec.structs.replace(run.records[0], due_s=1.0, released_s=5.0, queue_s=2.0)
    assert log_of(replace(run, records=[record]))["queue_s"].to_list() == [6.0]


def test_a_log_has_the_adapters_of_each_request():
    requests = [
        msgspec.structs.replace(request, loras=uses)
        for request, uses in zip(
            make_requests(3),
            ((RequestedAdapter("a", 0.5),), (), (RequestedAdapter("a", 0.5), RequestedAdapter("b"))),
            strict=True,
        )
    ]
    lists = log_of(ran(null_server(), requests))["loras"].to_list()
    a, b = {"name": "a", "scale": 0.5}, {"name": "b", "scale": None}
    assert sorted(lists, key=len) == [[], [a], [a, b]]


def test_a_log_is_made_a_few_requests_at_a_time():
    runs = [run_of(np.ones(AT_A_TIME + 2)), run_of(np.ones(1))]
    assert [len(table) for table in tables_of(runs, task="t2i")] == [AT_A_TIME, 2, 1]


def test_a_log_that_is_made_in_pieces_has_every_request_in_order(tmp_path):
    runs = [run_of(np.ones(AT_A_TIME + 2)), run_of(np.ones(1))]
    write_log(runs, tmp_path / "log.parquet", task="t2i", to_format="parquet")
    ids = pl.read_parquet(tmp_path / "log.parquet")["request_id"].to_list()
    assert ids == [record.request.request_id for run in runs for record in run.records]


def test_deadlines_that_only_some_requests_have_are_told_apart_from_estimated_ones():
    requests = [*make_requests(3), *make_requests(1, deadline_s=1.0)]
    metrics = compute_metrics(ran(null_server(), requests, warm_up_rounds=1, estimator="omni"))
    assert metrics["slo_source"].startswith("explicit for 1 of 4, else vLLM-Omni's estimate")


def test_transfer_is_what_the_server_does_not_tell_of_the_time_since_a_request_was_sent():
    (request,) = make_requests(1)
    record = Record(request=request, due_s=0.0, released_s=1.0, sent_s=1.5, done_s=5.0, queue_s=1.0, compute_s=2.0)
    metrics = compute_metrics(
        Run(config=make_config("http://nowhere", [request]), records=[record], duration_s=5.0, began_at=0.0)
    )
    assert metrics["transfer_mean"] == 0.5


def test_the_queue_and_the_work_of_a_server_are_told_as_it_tells_them():
    metrics = compute_metrics(ran(null_server(workers=1, fixed_s=0.01), make_requests(4)))
    assert metrics["queue_max"] >= 3 * 0.01
    assert metrics["compute_mean"] >= 0.01


def test_a_run_without_an_answer_has_no_latency():
    metrics = compute_metrics(ran(odd.odd_server(odd.close_at_once), make_requests(2)))
    assert metrics["latency_p50"] is None
    assert not parse("p50<9").holds(metrics)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("attainment>=0.99", False),
        ("attainment >= 98%", True),
        ("p95<250ms", True),
        ("latency_p95>0.25s", False),
        ("failed==0", True),
        ("throughput_qps>=1e1", False),
    ],
)
def test_conditions_are_read_with_their_units(text, holds):
    metrics = {"slo_attainment_rate": 0.98, "latency_p95": 0.2, "failed_requests": 0, "throughput_qps": 9.0}
    assert parse(text).holds(metrics) is holds


@given(hits=st.integers(0, 1000))
def test_a_share_in_percent_holds_at_its_own_value(hits):
    assert parse(f"attainment>={hits / 10}%").holds({"slo_attainment_rate": hits / 1000})


@pytest.mark.parametrize("text", ["", "p95", "p95<", "p95<fast", "p95<1h", "p95=<1", "<1", "p95<1<2", "p95<nan"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(BadRequirement, match="is no condition"):
        parse(text)


def test_a_condition_on_a_figure_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(BadRequirement, match="latency_p95"):
        parse("latency_p59<1").check({"latency_p95": 1.0})


def foreseen(condition, requests, **more):
    config = make_config("http://127.0.0.1:1", requests, **more)
    check_possible([parse(condition)], config, {"requests": len(requests)})


POSSIBLE = [
    *(("p95<1", {}), ("requests==2", {}), ("queue_p50<1", {}), ("send_lag_max<1", {}), ("peak_memory_mb_max<1", {})),
    *(("attainment>=1", {"estimator": "omni"}), ("scene_score>0", {"scores_scenes": True})),
    *(
        ("still_videos==0", {"endpoint": Videos(), "decode": frames_of}),
        ("semaphore_wait_max<1", {"max_concurrency": 1}),
    ),
    ("latency_since_due_p95<1", {"max_concurrency": 1}),
]


@pytest.mark.parametrize(("condition", "more"), POSSIBLE)
def test_a_condition_on_what_a_run_can_tell_is_taken_before_it(condition, more):
    foreseen(condition, make_requests(2, every_s=1.0), **more)


IMPOSSIBLE = [
    *(("attainmnt>=1", "did you mean"), ("attainment>=1", "--slo-ms"), ("goodput>1", "--slo-ms")),
    *(("scene_score>0", "--dataset shapes"), ("still_videos==0", "no figure"), ("failures==0", "no figure")),
    *(("semaphore_wait_max<1", "no figure"), ("latency_since_due_p95<1", "no figure")),
]


@pytest.mark.parametrize(("condition", "said"), IMPOSSIBLE)
def test_a_condition_on_what_a_run_cannot_tell_is_refused_before_it(condition, said):
    with pytest.raises(BadRequirement, match=said):
        foreseen(condition, make_requests(2, every_s=1.0))


def test_a_figure_that_the_server_did_not_tell_fulfils_nothing():
    assert not parse("queue_p50<9").holds({"latency_p50": 1.0})


def test_equal_runs_are_rarely_told_apart_and_shifted_ones_always():
    rng = np.random.default_rng(0)
    runs = [[rng.exponential(size=300) + 0.2 for _ in "ab"] for _ in range(40)]
    false_alarms = sum(
        compare(*([each] for each in pair), seed=seed, draws=300)[0].is_sure for seed, pair in enumerate(runs)
    )
    assert false_alarms <= 6
    verdicts = {compare([a], [0.5 * b], seed=seed, draws=300)[1].verdict for seed, (a, b) in enumerate(runs[:10])}
    assert verdicts == {"B is faster"}


def test_neighbours_that_are_alike_make_figures_less_sure():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=2000)
    alike = np.convolve(noise, np.ones(20) / np.sqrt(20), mode="same") + 10
    widths = [np.diff(interval(resampled([each], np.mean, rng=rng)))[0] for each in (alike, rng.permutation(alike))]
    assert widths[0] > 2 * widths[1]


def test_runs_with_few_answers_are_not_compared():
    with pytest.raises(BadResult, match="takes 10"):
        compare([np.ones(9)], [np.ones(50)])


def attaining(max_concurrency):
    """Make points of which those up to a rate attain all targets."""
    return lambda rate: {"slo_attainment_rate": 1.0 if rate <= max_concurrency else 0.5}


def found_by(search, figures_at):
    """Measure what a search asks for, and return the highest rate that held."""
    points = []
    while (rate := search(points)) is not None:
        points.append(LevelResult(level=rate, metrics=figures_at(rate)))
    return max((point.level for point in points if point.holds(search.target)), default=None)


@given(max_concurrency=st.floats(0.01, 1000), start=st.floats(0.1, 100))
def test_the_search_ends_within_its_precision_of_the_highest_rate_that_holds(max_concurrency, start):
    found = found_by(CapacitySearch(target=0.99, start=start, precision=0.1), attaining(max_concurrency))
    assert found <= max_concurrency
    assert max_concurrency <= 1.1 * found * (1 + 1e-9)


def test_a_rate_that_the_client_could_not_send_does_not_hold():
    def figures_at(rate):
        return {"slo_attainment_rate": 1.0, "latency_p50": 0.1, "send_lag_p99": 0.0 if rate <= 4 else 9.0}

    assert found_by(CapacitySearch(target=0.5, precision=0.5), figures_at) == 4.0


def test_nothing_holds_where_nothing_is_attained():
    assert found_by(CapacitySearch(target=0.99), attaining(0.0)) is None


def test_a_search_ends_where_requests_hardly_overlap_and_still_miss():
    search = CapacitySearch(target=0.99, start=8.0)
    points = [LevelResult(level=8.0, metrics={"slo_attainment_rate": 0.0, "latency_p99": 0.1})]
    assert search(points) == 4.0
    assert search([LevelResult(level=0.5, metrics=points[0].metrics)]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_knee_is_the_end_of_the_levels_that_hold_from_the_lowest_on(attainments):
    points = [LevelResult(level=n, metrics={"slo_attainment_rate": share}) for n, share in enumerate(attainments, 1)]
    held = len(list(itertools.takewhile(lambda share: share >= 0.9, attainments)))
    assert capacity_of(points[::-1], target=0.9).held == (held or None)


def test_a_timeline_tells_what_was_in_time_from_what_was_late_and_what_failed():
    requests = make_requests(3, deadline_s=10.0)
    ends_s = (1.0, 11.0, 1.0)
    records = [
        Record(request=request, due_s=0.0, released_s=0.0, sent_s=0.0, done_s=done_s)
        for request, done_s in zip(requests, ends_s, strict=True)
    ]
    records[2].failure = "closed"
    run = Run(config=make_config("http://nowhere", requests), records=records, duration_s=11.0, began_at=0.0)
    assert timeline([run]).table["outcome"].to_list() == ["served", "too late", "closed"]


@pytest.mark.parametrize("count", [0, 1, 30])
def test_a_page_and_figures_are_written_for_any_number_of_requests(tmp_path, count):
    done = ran(null_server(), make_requests(count, deadline_s=1.0))
    metrics = compute_metrics(done)
    results = plots_of([done], metrics)
    facts = {"url": "http://<here>", "title": "random", "notes": ["a <b>"], "command": "safelight bench"}
    write_page(tmp_path / "page.html", results, metrics=metrics, **facts)
    write_plots(tmp_path, results)
    text = (tmp_path / "page.html").read_text()
    assert "Benchmark report" in text
    assert "a &lt;b&gt;" in text
    assert text.count("<svg") == len(list(tmp_path.glob("*.png"))) == len(list(tmp_path.glob("*.pdf")))
    assert count == 0 or "<svg" in text
