import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, crowds, job, paces, spec, use
from safelight.adapters.modes import DEFAULT_ADAPTER_MODE
from safelight.control.batch import QueuedJob, place_of
from safelight.control.batching.policies import BATCHING_POLICIES
from safelight.control.folding import Folding
from safelight.control.forecast import ForecastWorker, forecast
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.ticks import TickScheduler
from safelight.core.model import AdapterCosts
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource
from safelight.profiles.loads import FIRST_BYTES_PER_S, LoadEstimate

PATIENT = st.fixed_dictionaries(
    {"model": st.sampled_from([LARGE, SMALL]), "steps": st.integers(1, 6), "is_guided": st.booleans()}
)
SOURCE = PictureSource(image=Pixels(width=64, height=64, rgb=bytes(3 * 64 * 64)), strength=1.0)
OUTLINE = use("outline")
COSTS = AdapterCosts(switch_s=0.5, unmerged_overhead=1.0, correction_overhead=1.0)


def queued(jobs, *, first=0, **fields):
    order = DeadlineOrder()
    rows = [
        QueuedJob.of(each, place=order.place(each.request, number), **fields) for number, each in enumerate(jobs, first)
    ]
    return sorted(rows, key=place_of)


def busy(*jobs, most=8, capacity=None, specs=(), batching=BATCHING_POLICIES[0], weights_bytes=None):
    """A worker in a forecast, with these jobs."""
    known = paces(*specs)
    worker = ForecastWorker(
        paces=known,
        loads=LoadEstimate(),
        batching=batching,
        foldings={
            name: Folding(pace, DEFAULT_ADAPTER_MODE.start, max_denoiser_rows=most) for name, pace in known.items()
        },
        max_denoiser_rows=most,
        capacity_rows=capacity or most,
        rows=queued(jobs),
        weights_bytes=weights_bytes or {},
    )
    for row in worker.rows:
        worker.plan_load(row, 0.0)
    return worker


def finishes(expected):
    return {name: seen.finish_s for name, seen in expected.items()}


def run_tick_by_tick(jobs, *, most, batching):
    """Return when each picture is ready when the tick scheduler itself runs them."""
    known = paces()
    scheduler = TickScheduler(known, config=ReplicaConfig(max_denoiser_rows=most, batching=batching))
    for each in jobs:
        scheduler.hold(each)
    now, ready_s = 0.0, {}
    while tick := scheduler.next_tick(now):
        seconds = known[tick.model].tick_s(tick.denoiser_rows, width=tick.width, height=tick.height)
        now += seconds
        ready_s |= dict.fromkeys(scheduler.tick_done(tick, tick.ticked(seconds)), now)
    return ready_s


@pytest.mark.parametrize("batching", BATCHING_POLICIES, ids=lambda policy: policy.name)
@given(jobs=crowds(fields=PATIENT), most=st.integers(2, 12))
def test_the_forecast_for_one_worker_is_what_its_scheduler_does(batching, jobs, most):
    expected = forecast([busy(*jobs, most=most, batching=batching)], (), now=0.0)
    assert finishes(expected) == pytest.approx(run_tick_by_tick(jobs, most=most, batching=batching))


@given(crowds(), crowds(), st.integers(2, 12))
def test_everything_held_or_waiting_is_expected_to_start_before_it_is_ready(held, waiting, most):
    renamed = [job(f"w{number}", model=each.level.model, steps=each.level.steps) for number, each in enumerate(waiting)]
    expected = forecast([busy(*held, most=most), busy(most=most)], queued(renamed, first=100), now=3.0)
    assert set(expected) == {each.id for each in (*held, *renamed)}
    assert all(3.0 <= seen.start_s < seen.finish_s for seen in expected.values())


def test_a_picture_alone_is_ready_after_its_service_time():
    timed = spec(LARGE, encode_s=0.5, decode_s=0.25)
    expected = forecast([busy(job(steps=4), specs=[timed])], (), now=1.0)
    assert expected["one"].finish_s == pytest.approx(1.0 + 0.5 + 4 * 0.03 + 0.25)


def test_the_picture_that_another_starts_from_is_encoded_too():
    timed = spec(LARGE, encode_s=0.5, encode_picture_s=2.0)
    expected = forecast([busy(job(steps=4, source=SOURCE), specs=[timed])], (), now=0.0)
    assert expected["one"].finish_s == pytest.approx(0.5 + 2.0 + 4 * 0.03)


def test_a_row_that_has_begun_is_not_encoded_again():
    timed = spec(LARGE, encode_s=0.5)
    worker = busy(specs=[timed])
    worker.rows = queued([job(steps=4)], steps_run=3, has_begun=True)
    assert forecast([worker], (), now=0.0)["one"].finish_s == pytest.approx(0.03)


def test_a_picture_waits_for_the_load_of_its_adapter():
    worker = busy(job(loras=(OUTLINE,)), weights_bytes={OUTLINE.handle: int(3 * FIRST_BYTES_PER_S)})
    assert forecast([worker], (), now=0.0)["one"].finish_s == pytest.approx(3.0 + 4 * 0.03)


def test_one_adapter_is_loaded_at_a_time():
    sizes = {use(name).handle: int(3 * FIRST_BYTES_PER_S) for name in ("a", "b")}
    worker = busy(*(job(name, loras=(use(name),)) for name in ("a", "b")), weights_bytes=sizes)
    expected = forecast([worker], (), now=0.0)
    assert [expected[name].start_s for name in ("a", "b")] == pytest.approx([3.0, 6.0])


def test_others_run_while_an_adapter_is_loaded():
    worker = busy(
        job("lined", loras=(OUTLINE,)), job("plain"), weights_bytes={OUTLINE.handle: int(3 * FIRST_BYTES_PER_S)}
    )
    assert forecast([worker], (), now=0.0)["plain"].finish_s == pytest.approx(4 * 0.03)


def test_steps_of_grace_run_while_an_adapter_is_loaded():
    graceful = job(loras=(OUTLINE,), grace_steps=3)
    worker = busy(graceful, weights_bytes={OUTLINE.handle: int(3 * FIRST_BYTES_PER_S)})
    expected = forecast([worker], (), now=0.0)["one"]
    assert (expected.start_s, expected.finish_s) == pytest.approx((0.0, 3.0 + 0.03))


def test_bringing_loras_into_the_weights_takes_time():
    costly = spec(LARGE, adapter_costs=COSTS)
    expected = forecast([busy(job(steps=100, loras=(OUTLINE,)), specs=[costly])], (), now=0.0)
    assert expected["one"].finish_s == pytest.approx(0.5 + 100 * 0.03)


def test_what_waits_starts_when_a_row_comes_free():
    worker = busy(job("short", steps=2), job("long", steps=4), most=2)
    expected = forecast([worker], queued([job("next")], first=9), now=0.0)
    assert expected["next"].start_s == pytest.approx(expected["short"].finish_s)


def test_what_waits_goes_to_the_worker_that_is_free_first():
    slow, quick = busy(job("slow", steps=9), most=1), busy(job("quick", steps=1), most=1)
    expected = forecast([slow, quick], queued([job("next", steps=1)], first=9), now=0.0)
    assert expected["next"].finish_s < expected["slow"].finish_s


def test_what_nobody_serves_is_left_out():
    only_large = busy(job("large"), specs=[spec(LARGE)])
    waiting = queued([job("small", model=SMALL), job("more")], first=5)
    assert set(forecast([only_large], waiting, now=0.0)) == {"large", "more"}


def test_a_wide_row_that_waits_is_not_passed_by_narrow_ones_behind_it():
    worker = busy(job("short", steps=1), job("long", steps=9), most=2)
    waiting = queued([job("wide", is_guided=True), job("narrow", arrived_s=0.1)])
    expected = forecast([worker], waiting, now=0.0)
    assert expected["wide"].start_s <= expected["narrow"].start_s
