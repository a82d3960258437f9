import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, crowds, profiles, request, spec
from safelight.control.batch import Row
from safelight.control.forecast import Lane, foresee
from safelight.control.replica import ReplicaScheduler
from safelight.core.work import Job

PATIENT = st.fixed_dictionaries(
    {"model": st.sampled_from([LARGE, SMALL]), "steps": st.integers(1, 6), "is_guided": st.booleans()}
)


def rows_of(requests):
    return [Row.of(each, sequence=number) for number, each in enumerate(requests)]


def lane(*requests, most=8, capacity=None, specs=()):
    rows = sorted(rows_of(requests), key=lambda row: row.place)
    return Lane(profiles=profiles(*specs), max_denoiser_rows=most, capacity_rows=capacity or most, rows=rows)


def finishes(expected):
    return {name: seen.finish_s for name, seen in expected.items()}


def played_tick_by_tick(requests, *, most):
    """Return when each picture is ready when the replica scheduler itself runs them."""
    speeds = profiles()
    scheduler = ReplicaScheduler(speeds, max_denoiser_rows=most)
    wide = {each.id: each.denoiser_rows for each in requests}
    for each in requests:
        scheduler.hold(Job(request=each))
    now, ready_s = 0.0, {}
    while tick := scheduler.next_tick(now):
        seconds = speeds[tick.model].tick_s(sum(wide[name] for name in tick.request_ids))
        now += seconds
        ready_s |= dict.fromkeys(scheduler.tick_done(tick, seconds), now)
    return ready_s


@given(crowds(fields=PATIENT), st.integers(2, 12))
def test_the_forecast_for_one_worker_is_what_its_scheduler_does(requests, most):
    expected = foresee([lane(*requests, most=most)], (), now=0.0)
    assert finishes(expected) == pytest.approx(played_tick_by_tick(requests, most=most))


@given(crowds(), crowds(), st.integers(2, 12))
def test_everything_held_or_waiting_is_expected_to_start_before_it_is_ready(held, waiting, most):
    renamed = [request(f"w{number}", model=each.model, steps=each.steps) for number, each in enumerate(waiting)]
    expected = foresee([lane(*held, most=most), lane(most=most)], rows_of(renamed), now=3.0)
    assert set(expected) == {each.id for each in (*held, *renamed)}
    assert all(3.0 <= seen.start_s < seen.finish_s for seen in expected.values())


def test_a_picture_alone_is_ready_after_its_service_time():
    timed = spec(LARGE, encode_s=0.5, decode_s=0.25)
    expected = foresee([lane(request(steps=4), specs=[timed])], (), now=1.0)
    assert expected["one"].finish_s == pytest.approx(1.0 + 0.5 + 4 * 0.03 + 0.25)


def test_a_row_that_has_begun_is_not_encoded_again():
    timed = spec(LARGE, encode_s=0.5)
    begun = Row.of(request(steps=4), sequence=0, step=3, has_begun=True)
    alone = lane(specs=[timed])
    alone.rows.append(begun)
    assert foresee([alone], (), now=0.0)["one"].finish_s == pytest.approx(0.03)


def test_what_waits_starts_when_a_row_comes_free():
    busy = lane(request("short", steps=2), request("long", steps=4), most=2)
    expected = foresee([busy], [Row.of(request("next"), sequence=9)], now=0.0)
    assert expected["next"].start_s == pytest.approx(expected["short"].finish_s)


def test_what_waits_goes_to_the_worker_that_is_free_first():
    slow, quick = lane(request("slow", steps=9), most=1), lane(request("quick", steps=1), most=1)
    expected = foresee([slow, quick], [Row.of(request("next", steps=1), sequence=9)], now=0.0)
    assert expected["next"].finish_s < expected["slow"].finish_s


def test_what_nobody_serves_is_left_out():
    only_large = lane(request("large"), specs=[spec(LARGE)])
    waiting = [Row.of(request("small", model=SMALL), sequence=5), Row.of(request("more"), sequence=6)]
    assert set(foresee([only_large], waiting, now=0.0)) == {"large", "more"}


def test_a_wide_row_that_waits_is_not_passed_by_narrow_ones_behind_it():
    busy = lane(request("short", steps=1), request("long", steps=9), most=2)
    waiting = rows_of([request("wide", is_guided=True), request("narrow", arrived_s=0.1)])
    expected = foresee([busy], waiting, now=0.0)
    assert expected["wide"].start_s <= expected["narrow"].start_s
