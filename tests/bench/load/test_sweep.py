"""One load at several levels."""

import asyncio
import re
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.makers import make_config, make_requests, null_server, run_of
from fakes import odd_server as odd
from safelight.bench.errors import ServerUnusable
from safelight.bench.load.runner import StopSignal
from safelight.bench.load.sweep import SweepConfig, fixed_levels, run_sweep
from safelight.bench.stats.levels import LevelResult, capacity_of


def levels_over(config_of, *, target=0.8, **more):
    return SweepConfig(level="request_rate", config_of=config_of, facts_of=lambda value: {}, target=target, **more)


def series_of(server, *values, stops_after=None, repeats=1, until_sure=False, target=0.8, **more):
    """Run five requests at each level of a server, given as a context manager, until some number of levels is done."""
    said, told, stop = [], [], StopSignal()

    def tell(point):
        told.append(point.level)
        if len(told) == stops_after:
            stop()

    async def main():
        async with server as url:
            levels = levels_over(
                lambda value, turn: make_config(url, make_requests(5, every_s=1 / value), **more),
                target=target,
                repeats=repeats,
                until_sure=until_sure,
            )
            return await run_sweep(
                levels,
                fixed_levels(values),
                stop=stop,
                progress_at=lambda value: nullcontext(lambda turn, load: None),
                notify=said.append,
                on_result=tell,
            )

    return asyncio.run(main()), said


def test_deadlines_are_estimated_once_and_are_the_same_at_all_levels():
    series, said = series_of(null_server(fixed_s=0.01), 200.0, 400.0, 800.0, estimator="omni", warm_up_rounds=1)
    assert len({point.metrics["slo_source"] for point in series.points}) == 1
    assert [re.split(r"[\d:]", sentence)[0].strip() for sentence in said] == ["warmed up with", "deadlines are"]


def test_a_trouble_of_a_later_level_is_told_once(tmp_path):
    folder = tmp_path / "pictures"
    folder.touch()
    _, said = series_of(null_server(), 500.0, 1000.0, save_to=folder)
    assert [sentence.partition(":")[0] for sentence in said] == ["not all pictures were saved"]


def test_an_interrupted_series_keeps_the_levels_that_were_whole():
    series, _ = series_of(null_server(), 500.0, 1000.0, stops_after=1)
    assert series.is_partial
    assert [point.level for point in series.points] == [500.0]


def test_a_server_that_is_down_is_told_before_any_level():
    with pytest.raises(ServerUnusable):
        series_of(odd.odd_server(odd.close_at_once), 500.0, warm_up_rounds=1)


@pytest.mark.parametrize(("until_sure", "target", "runs"), [(True, 0.3, 1), (True, 0.8, 3), (False, 0.3, 3)])
def test_no_more_runs_are_made_than_it_takes_to_be_sure(until_sure, target, runs):
    requests = {"estimator": "omni", "slo_scale": 1e6, "warm_up_rounds": 1}
    series, _ = series_of(null_server(), 500.0, repeats=3, until_sure=until_sure, target=target, **requests)
    assert len(series.points[0].metrics["runs"]) == runs


@settings(max_examples=25)
@given(hits=st.integers(0, 40), misses=st.integers(0, 40), runs=st.integers(1, 4))
def test_a_level_is_sure_exactly_where_its_interval_lies_on_one_side_of_the_target(hits, misses, runs):
    latencies_s = [1.0] * hits + [3.0] * misses
    if not latencies_s:
        return
    levels, made = levels_over(None, until_sure=True), [run_of(latencies_s, deadline_s=2.0)] * runs
    low, high = levels.result_at(1.0, made).bounds
    assert levels.is_enough(1.0, made) is (low >= 0.8 or high < 0.8)


BOUNDS = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(st.lists(BOUNDS, min_size=1, max_size=8))
def test_what_is_held_for_sure_lies_below_what_is_missed_for_sure(bounds):
    points = [
        LevelResult(
            level=float(level),
            metrics={"slo_attainment_rate": (low + high) / 2, "confidence": {"slo_attainment_rate": [low, high]}},
        )
        for level, (low, high) in enumerate(bounds, 1)
    ]
    found = capacity_of(points, target=0.8)
    if found.surely_held is not None and found.surely_missed is not None:
        assert found.surely_held < found.surely_missed
