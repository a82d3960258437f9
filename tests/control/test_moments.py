from hypothesis import given
from hypothesis import strategies as st

from control.makers import request, state
from safelight.control.moments import SPARE_ENTRIES, Moments

TIMES = st.lists(st.floats(0, 10), max_size=12)


def states(count):
    return [state(request(f"r{number}"), number=number) for number in range(count)]


@given(TIMES, st.floats(0, 10))
def test_what_is_before_a_moment_is_taken_in_order_and_once(times, now):
    moments = Moments(lambda each: True)
    for each, at in zip(states(len(times)), times, strict=True):
        moments.add(at, each)
    taken = [times[each.sequence] for each in moments.take(now)]
    assert taken == sorted(at for at in times if at < now)
    assert moments.take(now) == []
    assert moments.next_s == min((at for at in times if at >= now), default=None)


def test_what_is_exactly_now_is_taken_only_if_asked_for():
    moments = Moments(lambda each: True)
    (one,) = states(1)
    moments.add(1.0, one)
    assert moments.take(1.0) == []
    assert moments.take(1.0, with_now=True) == [one]


def test_outdated_moments_count_for_nothing_and_take_no_space():
    current = set()
    moments = Moments(current.__contains__)
    many = states(10 * SPARE_ENTRIES)
    for each in many:
        moments.add(1.0, each)
    assert moments.next_s is None
    assert len(moments._heap) <= 2 * SPARE_ENTRIES
