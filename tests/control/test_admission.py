import pytest
from hypothesis import given
from hypothesis import strategies as st
from safelight.control.admission import (
    LEAST_RETRY_S,
    MOST_RETRY_S,
    UNSERVED_RETRY_S,
    lateness,
    predicted_finish_s,
    queue_full,
    retry_in,
)
from safelight.control.station import Station
from safelight.control.ticket import Ticket

from control.makers import LARGE, SMALL, ready, request, spec
from safelight.core.work import Ticked


def station(*held, most=2, model=None):
    made = Station("w", ready(model or spec(LARGE), max_denoiser_rows=most), lookahead_rows=0)
    for ticket in tickets(*held):
        made.take(ticket)
    return made


def tickets(*requests):
    return [Ticket(request=each, sequence=number) for number, each in enumerate(requests)]


def newcomer(**fields):
    return Ticket(request=request("new", **fields), sequence=100)


def late(ticket, *stations, waiting=()):
    return lateness(ticket, stations=stations, waiting=waiting, now=0.0)


def finish_s(ticket, *stations, waiting=()):
    return predicted_finish_s(ticket, stations=stations, waiting=waiting, now=0.0)


def test_a_request_without_a_deadline_is_never_late():
    assert late(newcomer(steps=10_000), station()) is None


def test_a_deadline_that_an_empty_worker_meets_is_fine():
    # 4 steps of 0.03 s
    assert late(newcomer(deadline_s=0.13), station()) is None


def test_a_deadline_that_no_worker_meets_is_refused_with_the_time_it_would_take():
    error = late(newcomer(deadline_s=0.1), station())
    assert "0.1 s but would take about 0.12 s" in str(error)


def test_a_deadline_is_not_judged_while_nobody_serves_the_model():
    assert late(newcomer(model=SMALL, deadline_s=0.1), station()) is None


def test_company_on_the_worker_counts():
    alone, together = finish_s(newcomer(), station()), finish_s(newcomer(), station(request("old")))
    assert together > alone


def test_a_request_is_judged_by_the_worker_that_would_finish_it_soonest():
    crowded, quiet = station(request("a"), request("b"), most=4), station(request("c", steps=1), most=4)
    assert finish_s(newcomer(), crowded, quiet) == finish_s(newcomer(), quiet)


def test_those_who_wait_ahead_count():
    full = [request("a", steps=8), request("b", steps=8)]
    ahead = tickets(request("c", deadline_s=20.0), request("d", deadline_s=20.0))
    assert finish_s(newcomer(), station(*full), waiting=ahead) > finish_s(newcomer(), station(*full))


def test_an_urgent_request_is_expected_before_those_who_wait_already():
    full = [request("a", steps=8), request("b", steps=8)]
    waiting = tickets(*(request(f"w{number}") for number in range(6)))
    urgent, patient = newcomer(deadline_s=9.0), newcomer(arrived_s=1.0)
    assert finish_s(urgent, station(*full), waiting=waiting) < finish_s(patient, station(*full), waiting=waiting)


def test_a_slowness_learned_under_load_does_not_shut_out_an_empty_worker():
    slowed = station(request("old"))
    for _ in range(100):
        slowed.learn(Ticked(model=LARGE, denoiser_rows=1, seconds=0.3))
    slowed.release(slowed.tickets["old"])
    assert late(newcomer(deadline_s=0.13), slowed) is None


def test_a_late_request_may_try_again_when_its_lateness_has_been_worked_off():
    full = [request("a", steps=200), request("b", steps=200)]
    ticket = newcomer(deadline_s=1.0)
    error = late(ticket, station(*full))
    assert error.retry_after_s == pytest.approx(finish_s(ticket, station(*full)) - 1.0)


def test_a_full_queue_asks_to_come_back_when_half_of_it_is_gone():
    waiting = tickets(*(request(f"r{number}", steps=100) for number in range(10)))
    error = queue_full(LARGE, stations=[station(most=2)], waiting=waiting)
    # 10 pictures of 100 steps, two to a tick of 0.04 s
    assert error.retry_after_s == pytest.approx(10 * 100 * 0.04 / 2 / 2)


def test_twice_the_workers_halve_the_wait_for_a_full_queue():
    waiting = tickets(*(request(f"r{number}", steps=100) for number in range(10)))
    one = queue_full(LARGE, stations=[station()], waiting=waiting)
    two = queue_full(LARGE, stations=[station(), station()], waiting=waiting)
    assert two.retry_after_s == pytest.approx(one.retry_after_s / 2)


def test_a_full_queue_without_a_worker_asks_to_come_back_when_one_may_have_started():
    assert queue_full(LARGE, stations=[], waiting=tickets(request("a"))).retry_after_s == UNSERVED_RETRY_S


@given(st.floats(-1e9, 1e9))
def test_a_retry_after_is_always_within_reason(seconds):
    assert LEAST_RETRY_S <= retry_in(seconds) <= MOST_RETRY_S
