"""Who goes first in the next tick."""

from hypothesis import given
from hypothesis import strategies as st

from control.makers import LARGE, SMALL, crowds, job, paces
from safelight.control.batch import QueuedJob, place_of
from safelight.control.order.arrival import ArrivalOrder
from safelight.control.order.deadline import DeadlineOrder
from safelight.control.order.protocol import PATIENCE_S
from safelight.control.turns import in_turn

MOST_ROWS = 4
FULL_TICK_S = 0.02 + 0.01 * MOST_ROWS


def turns(jobs, *, now=0.0, order=None, **steps_run):
    order = order or DeadlineOrder()
    rows = [
        QueuedJob.of(each, place=order.place(each.request, number), steps_run=steps_run.get(each.id, 0))
        for number, each in enumerate(jobs)
    ]
    rows.sort(key=place_of)
    return [row.id for row in in_turn(rows, now=now, paces=paces(), max_denoiser_rows=MOST_ROWS, order=order)]


@given(crowds(), st.floats(0, 100))
def test_every_row_has_exactly_one_turn(jobs, now):
    assert sorted(turns(jobs, now=now)) == sorted(each.id for each in jobs)


@given(crowds(), st.floats(0, 100))
def test_where_arrival_counts_all_keep_their_places(jobs, now):
    assert turns(jobs, now=now, order=ArrivalOrder()) == [each.id for each in jobs]


def test_a_row_that_cannot_be_in_time_goes_behind_those_that_can():
    lost, sound = job("lost", deadline_s=0.05), job("sound", deadline_s=20.0)
    assert turns([lost, sound]) == ["sound", "lost"]


def test_a_late_row_goes_before_those_that_arrive_a_patience_after_it_was_due():
    lost = job("lost", deadline_s=0.05)
    newcomer = job("new", arrived_s=PATIENCE_S, deadline_s=1.0)
    assert turns([lost, newcomer], now=PATIENCE_S) == ["lost", "new"]


def test_a_row_that_has_run_enough_steps_to_be_in_time_is_not_late():
    begun, sound = job("begun", deadline_s=0.05), job("sound", deadline_s=20.0)
    assert turns([begun, sound], begun=3) == ["begun", "sound"]


def test_a_row_that_would_be_late_by_waiting_goes_before_one_that_is_due_earlier_and_can_wait():
    short = job("short", steps=1, deadline_s=1.0)
    long = job("long", steps=20, deadline_s=20 * FULL_TICK_S + 0.1)
    assert turns([short, long]) == ["long", "short"]


def test_a_row_older_than_patience_is_passed_by_nobody():
    patient = job("patient", steps=1)
    pressing = job("pressing", steps=4, arrived_s=PATIENCE_S + 1, deadline_s=4 * FULL_TICK_S)
    assert turns([patient, pressing], now=PATIENCE_S + 1) == ["patient", "pressing"]
    assert turns([job("patient", steps=1, arrived_s=5.0), pressing], now=PATIENCE_S + 1) == ["pressing", "patient"]


def test_rows_without_deadlines_keep_their_places():
    assert turns([job("large", model=LARGE), job("small", model=SMALL, arrived_s=0.1)]) == ["large", "small"]
