from dataclasses import dataclass

from control.makers import LARGE, SMALL, request, spec, state, use, worker, workers
from safelight.control.dispatch import MOST_PASSED_OVER, dispatch
from safelight.control.routing.dlora_dispatch import DloraDispatch
from safelight.control.routing.hash_by_adapter import HashByAdapter
from safelight.control.routing.soonest_finish import SoonestFinish
from safelight.control.routing_view import RoutingView
from safelight.control.waiting import WaitingQueue
from safelight.core.work import AdapterLoaded


def states(*requests, is_suspect=False):
    return [state(each, number=number, is_suspect=is_suspect) for number, each in enumerate(requests)]


def guided(name):
    return request(name, is_guided=True)


def placed(waiting, held, *, routing=None):
    """What goes where; `held` says which requests each worker has."""
    queue = WaitingQueue()
    for each in waiting:
        queue.add(each)
    chosen = dispatch(queue, workers(held), routing or SoonestFinish(), now=0.0)
    return [(each.id, each.worker) for each in chosen]


def test_a_request_goes_to_a_worker_that_serves_its_model():
    waiting = states(request("small", model=SMALL))
    assert placed(waiting, {worker("a", spec(LARGE)): [], worker("b", spec(SMALL)): []}) == [("small", "b")]


def test_a_request_goes_where_it_finishes_soonest():
    busy = states(request("busy"))
    assert placed(states(request("one")), {worker("a"): busy, worker("b"): []}) == [("one", "b")]


def test_a_quick_worker_with_company_is_better_than_a_slow_one_alone():
    busy = states(request("busy"))
    held = {worker("slow", spec(LARGE, tick_s=1.0)): [], worker("quick", spec(LARGE)): busy}
    assert placed(states(request("one")), held) == [("one", "quick")]


def test_equal_workers_are_taken_in_order():
    assert placed(states(request("one")), {worker("a"): [], worker("b"): []}) == [("one", "a")]


def test_room_is_counted_in_denoiser_rows():
    waiting = states(guided("one"), guided("two"), guided("three"))
    assert placed(waiting, {worker(most=4): []}) == [("one", "w"), ("two", "w")]


def test_the_lookahead_is_room_too():
    waiting = states(guided("one"), guided("two"), guided("three"))
    assert len(placed(waiting, {worker(most=4, lookahead=2): []})) == 3


def test_a_wide_request_without_room_keeps_narrow_ones_behind_it_from_its_worker():
    held = states(request("x"), request("y"), request("z"))
    assert placed(states(guided("wide"), request("narrow")), {worker(most=4): held}) == []


def test_a_request_that_waits_for_its_worker_keeps_nobody_from_another():
    held = states(request("x"), request("y"))
    waiting = states(request("large"), request("small", model=SMALL))
    fleet = {worker("full", spec(LARGE), most=2): held, worker("free", spec(SMALL)): []}
    assert placed(waiting, fleet) == [("small", "free")]


def test_a_request_of_a_model_without_a_worker_keeps_nobody_waiting():
    waiting = states(request("small", model=SMALL), request("large"))
    assert placed(waiting, {worker("w", spec(LARGE)): []}) == [("large", "w")]


def test_a_suspect_waits_for_an_empty_worker():
    busy = states(request("busy"))
    assert placed(states(request("one"), is_suspect=True), {worker(): busy}) == []


def test_a_suspect_has_its_worker_for_itself():
    (suspect,) = states(request("suspect"), is_suspect=True)
    (other,) = states(request("other", arrived_s=0.1))
    assert placed([suspect, other], {worker(): []}) == [("suspect", "w")]


def test_a_worker_that_a_suspect_waits_for_takes_nothing_else():
    busy = states(request("busy"))
    (suspect,) = states(request("suspect"), is_suspect=True)
    (other,) = states(request("other", arrived_s=0.1))
    assert placed([suspect, other], {worker(): busy}) == []


def test_a_suspect_keeps_only_the_worker_that_is_clear_first():
    short, long = states(request("short", steps=1), request("long", steps=9))
    (suspect,) = states(request("suspect"), is_suspect=True)
    (other,) = states(request("other", arrived_s=0.1))
    held = {worker("first"): [long], worker("second"): [short]}
    assert placed([suspect, other], held) == [("other", "first")]


def test_a_request_wider_than_its_worker_still_runs():
    assert placed(states(guided("wide")), {worker(most=1): []}) == [("wide", "w")]


def test_a_request_that_waits_for_its_own_worker_keeps_nobody_from_others():
    home, other = worker("home", most=1), worker("other", most=1)
    names = [f"r{number}" for number in range(20)]
    waiting = states(*(request(name) for name in names))
    chosen = placed(waiting, {home: states(request("busy")), other: []}, routing=HashByAdapter())
    assert [worker for _, worker in chosen] == ["other"]


@dataclass(frozen=True)
class Never:
    """Lets every request wait, and counts how many it was asked about."""

    asked: list

    def choose(self, asked, fleet, now):
        self.asked.append(asked)


def test_only_so_many_requests_that_their_policy_lets_wait_are_looked_at():
    routing = Never([])
    waiting = states(*(request(f"r{number}") for number in range(2 * MOST_PASSED_OVER)))
    placed(waiting, {worker(): []}, routing=routing)
    assert len(routing.asked) == MOST_PASSED_OVER


def lined(name="lined"):
    """A request that needs an adapter."""
    outline = use("outline")
    return state(request(name, loras=(outline,)), weights_bytes={outline.handle: 1000})


def hosting(fleet, view_of):
    return [each.worker.name for each in RoutingView(view_of, fleet, claimed=(), now=0.0).hosting]


def test_the_workers_with_the_adapters_of_a_request_are_known_until_they_evict_them_or_leave():
    fleet = workers({worker("a"): [], worker("b"): [], worker("c"): []})
    loaded = AdapterLoaded(handle=use("outline").handle, seconds=1.0)
    for name in ("c", "a", "b"):
        fleet.adapter_loaded(fleet.get(name), loaded, 1000)
    assert hosting(fleet, lined()) == ["a", "b", "c"]
    fleet.adapter_evicted(fleet.get("a"), loaded.handle)
    fleet.remove("c")
    assert hosting(fleet, lined()) == ["b"]


def test_a_worker_without_room_hosts_nothing_for_a_request():
    fleet = workers({worker("a", most=1): states(request("busy")), worker("b"): []})
    fleet.adapter_loaded(fleet.get("a"), AdapterLoaded(handle=use("outline").handle, seconds=1.0), 1000)
    assert hosting(fleet, lined()) == []


def test_every_worker_has_what_a_request_without_adapters_needs():
    fleet = workers({worker("a"): [], worker("b"): []})
    assert hosting(fleet, state(request())) == ["a", "b"]


def test_dlora_dispatch_follows_the_adapters():
    fleet = workers({worker("a"): [], worker("b"): []})
    fleet.adapter_loaded(fleet.get("b"), AdapterLoaded(handle=use("outline").handle, seconds=1.0), 1000)
    queue = WaitingQueue()
    queue.add(lined())
    assert [each.worker for each in dispatch(queue, fleet, DloraDispatch(), now=0.0)] == ["b"]
