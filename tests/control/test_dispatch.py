from safelight.control.station import Station
from safelight.control.ticket import Ticket

from control.makers import LARGE, SMALL, ready, request, spec
from safelight.control.dispatch import dispatch


def station(name="w", *specs, most=4, lookahead=0, holding=()):
    made = Station(name, ready(*specs, max_denoiser_rows=most), lookahead_rows=lookahead)
    for ticket in holding:
        made.take(ticket)
    return made


def tickets(*requests, is_suspect=False):
    return [Ticket(request=each, sequence=number, is_suspect=is_suspect) for number, each in enumerate(requests)]


def guided(name):
    return request(name, is_guided=True)


def placed(waiting, *stations):
    return [(ticket.id, ticket.worker) for ticket in dispatch(waiting, stations, now=0.0)]


def test_a_request_goes_to_a_worker_that_serves_its_model():
    waiting = tickets(request("small", model=SMALL))
    assert placed(waiting, station("a", spec(LARGE)), station("b", spec(SMALL))) == [("small", "b")]


def test_a_request_goes_where_it_finishes_soonest():
    (busy,) = tickets(request("busy"))
    assert placed(tickets(request("one")), station("a", holding=[busy]), station("b")) == [("one", "b")]


def test_a_quick_worker_with_company_is_better_than_a_slow_one_alone():
    (busy,) = tickets(request("busy"))
    quick, slow = station("quick", spec(LARGE), holding=[busy]), station("slow", spec(LARGE, tick_s=1.0))
    assert placed(tickets(request("one")), slow, quick) == [("one", "quick")]


def test_equal_workers_are_taken_in_order():
    assert placed(tickets(request("one")), station("a"), station("b")) == [("one", "a")]


def test_room_is_counted_in_denoiser_rows():
    waiting = tickets(guided("one"), guided("two"), guided("three"))
    assert placed(waiting, station(most=4)) == [("one", "w"), ("two", "w")]


def test_the_lookahead_is_room_too():
    waiting = tickets(guided("one"), guided("two"), guided("three"))
    assert len(placed(waiting, station(most=4, lookahead=2))) == 3


def test_a_wide_request_without_room_keeps_narrow_ones_behind_it_from_its_worker():
    held = tickets(request("x"), request("y"), request("z"))
    assert placed(tickets(guided("wide"), request("narrow")), station(most=4, holding=held)) == []


def test_a_request_that_waits_for_its_worker_keeps_nobody_from_another():
    held = tickets(request("x"), request("y"))
    full, free = station("full", spec(LARGE), most=2, holding=held), station("free", spec(SMALL))
    waiting = tickets(request("large"), request("small", model=SMALL))
    assert placed(waiting, full, free) == [("small", "free")]


def test_a_request_of_a_model_without_a_worker_keeps_nobody_waiting():
    waiting = tickets(request("small", model=SMALL), request("large"))
    assert placed(waiting, station("w", spec(LARGE))) == [("large", "w")]


def test_a_suspect_waits_for_an_empty_worker():
    (busy,) = tickets(request("busy"))
    assert placed(tickets(request("one"), is_suspect=True), station(holding=[busy])) == []


def test_a_suspect_has_its_worker_for_itself():
    (suspect,) = tickets(request("suspect"), is_suspect=True)
    assert placed([suspect, *tickets(request("other"))], station()) == [("suspect", "w")]


def test_a_worker_that_a_suspect_waits_for_takes_nothing_else():
    (busy,) = tickets(request("busy"))
    (suspect,) = tickets(request("suspect"), is_suspect=True)
    assert placed([suspect, *tickets(request("other"))], station(holding=[busy])) == []


def test_a_suspect_keeps_only_the_worker_that_is_clear_first():
    short, long = tickets(request("short", steps=1), request("long", steps=9))
    (suspect,) = tickets(request("suspect"), is_suspect=True)
    first, second = station("first", holding=[long]), station("second", holding=[short])
    assert placed([suspect, *tickets(request("other"))], first, second) == [("other", "first")]


def test_a_request_wider_than_its_worker_still_runs():
    assert placed(tickets(guided("wide")), station(most=1)) == [("wide", "w")]
