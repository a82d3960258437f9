from hypothesis import given
from hypothesis import strategies as st

from control.makers import request
from safelight.control.order import PATIENCE_S, place_of

DEADLINES = st.none() | st.floats(0, 1e4)


def test_what_is_due_earlier_goes_first():
    assert place_of(request(deadline_s=2.0), 1) < place_of(request(deadline_s=3.0), 0)


def test_a_deadline_within_patience_goes_before_no_deadline():
    assert place_of(request(deadline_s=PATIENCE_S - 1), 1) < place_of(request(), 0)


def test_without_deadlines_the_first_to_arrive_goes_first():
    assert place_of(request(arrived_s=1.0), 1) < place_of(request(arrived_s=2.0), 0)


def test_of_two_that_are_due_together_the_first_to_arrive_goes_first():
    assert place_of(request(deadline_s=2.0), 1) < place_of(request(arrived_s=1.0, deadline_s=1.0), 0)


def test_a_generous_deadline_is_no_worse_than_none():
    assert place_of(request(deadline_s=1e4), 0) < place_of(request(arrived_s=1.0), 1)


@given(DEADLINES, DEADLINES, st.floats(0.01, 1e3))
def test_who_arrives_a_patience_later_comes_behind_whatever_its_deadline(first, second, more_s):
    early = place_of(request(deadline_s=first), 1)
    late = place_of(request(arrived_s=PATIENCE_S + more_s, deadline_s=second), 0)
    assert early < late


@given(st.lists(st.tuples(st.floats(0, 10), DEADLINES), max_size=10))
def test_no_two_requests_share_a_place(drawn):
    places = [place_of(request(arrived_s=at, deadline_s=wish), number) for number, (at, wish) in enumerate(drawn)]
    assert len(set(places)) == len(places)
