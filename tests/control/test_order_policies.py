"""Who goes first: what holds for every policy, and what holds for each."""

from itertools import accumulate, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.makers import request
from safelight.control.order.arrival import ArrivalOrder
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.late import late_place
from safelight.control.order.least_laxity import LeastLaxity
from safelight.control.order.policies import ORDER_POLICIES
from safelight.control.order.protocol import PATIENCE_S
from safelight.control.order.shortest_remaining import ShortestRemaining

DEADLINES = st.none() | st.floats(0, 1e4)
ORDER = DeadlineOrder()
every_policy = pytest.mark.parametrize("policy", ORDER_POLICIES, ids=lambda policy: policy.name)


@every_policy
@given(first=DEADLINES, second=DEADLINES, more_s=st.floats(0.01, 1e3))
def test_who_arrives_a_patience_later_comes_behind_whatever_its_deadline(policy, first, second, more_s):
    early = policy.place(request(deadline_s=first), 1)
    late = policy.place(request(arrived_s=policy.patience_s + more_s, deadline_s=second), 0)
    assert early < late


@every_policy
@given(drawn=st.lists(st.tuples(st.floats(0, 10), DEADLINES), max_size=10))
def test_no_two_requests_share_a_place(policy, drawn):
    places = [policy.place(request(arrived_s=at, deadline_s=due), number) for number, (at, due) in enumerate(drawn)]
    assert len(set(places)) == len(places)


@every_policy
@given(drawn=st.lists(st.tuples(st.floats(0, 10), DEADLINES), max_size=10))
def test_any_two_places_can_be_compared(policy, drawn):
    places = [policy.place(request(arrived_s=at, deadline_s=due), number) for number, (at, due) in enumerate(drawn)]
    assert all((one < other) != (other <= one) for one in places for other in places)


@every_policy
def test_of_two_alike_the_first_goes_first(policy):
    assert policy.place(request(deadline_s=2.0), 0) < policy.place(request(deadline_s=2.0), 1)


def test_what_is_due_earlier_goes_first():
    assert ORDER.place(request(deadline_s=2.0), 1) < ORDER.place(request(deadline_s=3.0), 0)


def test_a_deadline_within_patience_goes_before_no_deadline():
    assert ORDER.place(request(deadline_s=PATIENCE_S - 1), 1) < ORDER.place(request(), 0)


def test_without_deadlines_the_first_to_arrive_goes_first():
    assert ORDER.place(request(arrived_s=1.0), 1) < ORDER.place(request(arrived_s=2.0), 0)


def test_of_two_that_are_due_together_the_first_to_arrive_goes_first():
    assert ORDER.place(request(deadline_s=2.0), 1) < ORDER.place(request(arrived_s=1.0, deadline_s=1.0), 0)


def test_a_generous_deadline_is_no_worse_than_none():
    assert ORDER.place(request(deadline_s=1e4), 0) < ORDER.place(request(arrived_s=1.0), 1)


def test_where_arrival_counts_no_deadline_goes_before():
    assert ArrivalOrder().place(request(), 1) < ArrivalOrder().place(request(arrived_s=1.0, deadline_s=0.1), 0)


@given(deadline_s=st.floats(0.1, 100), other=DEADLINES, sooner_s=st.floats(0, 100))
def test_a_late_request_goes_behind_all_that_arrived_before_it_was_due(deadline_s, other, sooner_s):
    late = late_place(ORDER, request(deadline_s=deadline_s), 0)
    assert ORDER.place(request(arrived_s=deadline_s - sooner_s, deadline_s=other), 1) <= (*late[:2], 1)


def test_who_arrives_a_patience_after_a_late_request_was_due_goes_behind_it():
    late = late_place(ORDER, request(deadline_s=2.0), 1)
    assert late < ORDER.place(request(arrived_s=2.0 + PATIENCE_S, deadline_s=0.1), 0)


def test_where_arrival_counts_a_late_request_keeps_its_place():
    assert late_place(ArrivalOrder(), request(deadline_s=2.0), 1) == ArrivalOrder().place(request(deadline_s=2.0), 1)


def ordered(policy, drawn):
    """The numbers of requests, which are pairs of a deadline and of seconds of work and all come at once, in order."""
    places = [
        policy.place(request(deadline_s=due), number, service_s=service_s)
        for number, (due, service_s) in enumerate(drawn)
    ]
    return sorted(range(len(drawn)), key=places.__getitem__)


@given(works=st.lists(st.floats(0.1, 5.0), min_size=1, max_size=6))
def test_shortest_work_first_has_the_least_mean_completion_on_one_worker(works):
    def total_s(order):
        return sum(accumulate(works[number] for number in order))

    order = ordered(ShortestRemaining(patience_s=1e6), [(None, work) for work in works])
    assert total_s(order) == pytest.approx(min(map(total_s, permutations(range(len(works))))))


@given(dues=st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_the_earliest_deadline_first_keeps_all_deadlines_that_any_order_keeps(dues):
    def is_kept(order):
        return all(ready_s <= dues[number] for ready_s, number in enumerate(order, start=1))

    is_possible = any(map(is_kept, permutations(range(len(dues)))))
    assert is_kept(ordered(ORDER, [(float(due), 1.0) for due in dues])) == is_possible


@given(drawn=st.lists(st.tuples(st.floats(5, 20), st.floats(0.1, 5.0)), min_size=1, max_size=8))
def test_who_has_the_least_time_to_spare_goes_first(drawn):
    laxities = [drawn[number][0] - drawn[number][1] for number in ordered(LeastLaxity(), drawn)]
    assert laxities == sorted(laxities)


@every_policy
@given(service_s=st.floats(0, 1e4), other_s=st.floats(0, 1e4), more_s=st.floats(0.01, 1e3))
def test_no_work_however_short_overtakes_a_request_that_is_older_by_more_than_the_patience(
    policy, service_s, other_s, more_s
):
    early = policy.place(request(), 1, service_s=service_s)
    late = policy.place(request(arrived_s=policy.patience_s + more_s), 0, service_s=other_s)
    assert early < late
