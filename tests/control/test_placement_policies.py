"""What is read ahead: what holds for every policy, and what holds for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet, prefetched
from control.makers import LARGE, SMALL, adapter, request, spec, state, use, worker, workers
from control.virtual_fleet import VirtualFleet
from safelight.control.events import Withdrawn
from safelight.control.placement.no_prefetch import NoPrefetch
from safelight.control.placement.policies import PLACEMENT_POLICIES
from safelight.control.placement.prefetch_waiting import FIRST_REQUESTS, PrefetchWaiting
from safelight.control.placement.protocol import PlacementView
from safelight.control.policies import Policies, policies_from
from safelight.control.routing.affinity import Affinity
from safelight.control.routing.hash_by_adapter import HashByAdapter
from safelight.control.routing.protocol import routing_key
from safelight.control.waiting import WaitingQueue

every_policy = pytest.mark.parametrize("policy", PLACEMENT_POLICIES, ids=lambda policy: policy.name)
LORAS = MASK, OUTLINE, _ = [use(name) for name in ("mask", "outline", "pastel")]
FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([LARGE, SMALL]),
        "loras": st.lists(st.sampled_from(LORAS), max_size=2, unique=True).map(tuple),
        "deadline_s": st.none() | st.floats(1, 20),
    }
)
FLEETS = st.lists(st.sampled_from([(LARGE,), (SMALL,), (LARGE, SMALL)]), min_size=1, max_size=4)


def setting(fields, fleet):
    """A queue, and workers for these models."""
    queue = WaitingQueue()
    for number, each in enumerate(fields):
        sizes = {lora.handle: 1 for lora in each["loras"]}
        queue.add(state(request(f"r{number}", **each), number=number, weights_bytes=sizes))
    return queue, workers({worker(f"w{number}", *map(spec, models)): () for number, models in enumerate(fleet)})


def test_no_two_policies_have_one_name():
    assert len({policy.name for policy in PLACEMENT_POLICIES}) == len(PLACEMENT_POLICIES)


@every_policy
@given(fields=st.lists(FIELDS, max_size=8), fleet=FLEETS)
def test_each_worker_is_named_at_most_once_with_each_adapter_at_most_once(policy, fields, fleet):
    queue, live = setting(fields, fleet)
    wanted = policy.reads(PlacementView(waiting=queue, workers=live))
    assert len({each.name for each, _ in wanted}) == len(wanted)
    assert all(each.name in live for each, _ in wanted)
    assert all(len(set(handles)) == len(handles) for _, handles in wanted)


@every_policy
@given(fields=st.lists(FIELDS, max_size=8), fleet=FLEETS)
def test_a_worker_reads_only_what_requests_for_its_models_need(policy, fields, fleet):
    queue, live = setting(fields, fleet)
    for each, handles in policy.reads(PlacementView(waiting=queue, workers=live)):
        needed = {handle for asked in queue if asked.model in each.paces for handle in asked.job.handles}
        assert set(handles) <= needed


@every_policy
@given(fields=st.lists(FIELDS, max_size=8), fleet=FLEETS)
def test_equal_states_give_equal_choices(policy, fields, fleet):
    views = (PlacementView(waiting=queue, workers=live) for queue, live in (setting(fields, fleet) for _ in range(2)))
    first, second = (policy.reads(view) for view in views)
    assert [(each.name, handles) for each, handles in first] == [(each.name, handles) for each, handles in second]


@given(fields=st.lists(FIELDS, max_size=8), fleet=FLEETS)
def test_what_waiting_requests_need_is_read_soonest_needed_first(fields, fleet):
    queue, live = setting(fields, fleet)
    for each, handles in PrefetchWaiting().reads(PlacementView(waiting=queue, workers=live)):
        needed = [handle for asked in queue if asked.model in each.paces for handle in asked.job.handles]
        assert handles == tuple(dict.fromkeys(needed))


def test_in_a_large_fleet_only_the_workers_with_the_least_work_left_read_ahead():
    queue, live = setting([{"model": LARGE, "loras": (LORAS[0],)}], [(LARGE,)] * 4)
    for number, each in enumerate(live):
        each.left_s = 10.0 - number
    wanted = PrefetchWaiting(workers=2).reads(PlacementView(waiting=queue, workers=live))
    assert [each.name for each, _ in wanted] == ["w3", "w2"]


def test_without_a_prefetch_no_worker_is_sent_any():
    fleet = DrivenFleet("w", policies=Policies(placement=NoPrefetch()))
    fleet.offer("outline")
    fleet.arrive("running")
    assert prefetched(fleet.arrive("waiting", loras=(use("outline"),))) == []


def test_a_worker_that_is_chosen_no_longer_stops_reading_ahead_once_nothing_waits_for_adapters():
    fleet = DrivenFleet("a", "b", policies=Policies(placement=PrefetchWaiting(workers=1)))
    fleet.offer("outline", worker="a")
    fleet.arrive("short", steps=1)
    fleet.arrive("long", steps=9)
    assert prefetched(fleet.arrive("waiting", loras=(use("outline"),)))[0][0] == "a"
    fleet.finish("short", worker="a")
    fleet.arrive("second", loras=(use("outline"),))
    commands = fleet.handle(Withdrawn("second"))
    assert all(not each.prefetched for each in fleet.controller._fleet.workers)
    assert [handles for _, handles in prefetched(commands)] == [()] * len(prefetched(commands))


def test_a_worker_reads_ahead_the_adapters_of_requests_that_wait_in_their_order():
    fleet = DrivenFleet("w")
    outline, mask = fleet.offer("outline"), fleet.offer("mask")
    fleet.arrive("painting")
    assert prefetched(fleet.arrive("first", loras=(OUTLINE,))) == [("w", (outline,))]
    assert prefetched(fleet.arrive("urgent", loras=(MASK, OUTLINE), deadline_s=20.0)) == [("w", (mask, outline))]


@pytest.mark.parametrize("routing", [HashByAdapter(), Affinity()], ids=lambda policy: policy.name)
def test_only_the_home_of_a_waiting_request_reads_ahead_for_it(routing):
    fleet = DrivenFleet("a", "b", "c", policies=Policies(routing=routing))
    fleet.offer("outline", worker="a")
    home = "abc"[routing_key("outline") % 3]
    for number in range(3):
        fleet.arrive(f"painting{number}", loras=(OUTLINE,))
    commands = fleet.arrive("first", loras=(OUTLINE,))
    told = {each.name for each in fleet.controller._fleet.workers if each.prefetched}
    assert told == {home}
    assert [worker for worker, _ in prefetched(commands)] in ([], [home])


def test_a_home_stops_reading_ahead_when_nothing_waits_for_it_any_more():
    fleet = DrivenFleet("a", "b", policies=Policies(routing=HashByAdapter()))
    fleet.offer("outline", worker="a")
    for name in ("painting", "waiting"):
        fleet.arrive(name, loras=(OUTLINE,))
    home = "ab"[routing_key("outline") % 2]
    assert prefetched(fleet.handle(Withdrawn("waiting"))) == [(home, ())]


@pytest.mark.parametrize("routing", ["soonest-finish", "hash-by-adapter", "affinity"])
@pytest.mark.parametrize("waits", [False, True])
def test_the_adapters_of_a_request_are_read_from_its_arrival_on_whether_it_waits_or_not(routing, waits):
    specs = [adapter(name, weights_bytes=2 * 10**7) for name in ("mask", "outline")]
    policies = policies_from([f"routing={routing}", "admission=open"])
    fleet = VirtualFleet((spec(LARGE),), max_denoiser_rows=1, lookahead_rows=0, adapters=specs, policies=policies)
    if waits:
        fleet.arrive(request("painting", steps=20, arrived_s=fleet.time.now_s()))
    arrived_s = fleet.time.now_s()
    fleet.arrive(request("lined", steps=4, arrived_s=arrived_s, loras=(OUTLINE,)))
    fleet.time.run()
    tick_s, reading_s = 0.03, 0.1
    before_s = 20 * tick_s if waits else reading_s
    assert fleet.outcomes["lined"].total_s == pytest.approx(before_s + 4 * tick_s, abs=1.5 * tick_s)


def test_a_worker_reads_nothing_ahead_for_a_request_that_it_gets_at_once():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    assert prefetched(fleet.arrive(loras=(OUTLINE,))) == []


def test_a_worker_is_sent_only_changes_of_what_it_should_read_ahead():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    fleet.arrive("painting")
    fleet.arrive("first", loras=(OUTLINE,))
    assert prefetched(fleet.arrive("second", loras=(OUTLINE,))) == []
    assert prefetched(fleet.arrive("third")) == []


def test_a_worker_reads_ahead_only_for_models_that_it_serves():
    fleet = DrivenFleet()
    fleet.join("w", spec(LARGE))
    fleet.join("v", spec(SMALL))
    outline = fleet.offer("outline", model=SMALL)
    for name, model in (("one", LARGE), ("two", SMALL)):
        fleet.arrive(name, model=model)
    assert prefetched(fleet.arrive("late", model=SMALL, loras=(OUTLINE,))) == [("v", (outline,))]


def test_a_worker_that_joins_reads_ahead_what_still_waits():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    mask = fleet.offer("mask")
    fleet.leave("w")
    fleet.arrive("first", loras=(OUTLINE,))
    fleet.arrive("second", loras=(MASK,))
    assert prefetched(fleet.join("w.2")) == [("w.2", (mask,))]


def test_what_nobody_waits_for_any_more_is_not_read_ahead():
    fleet = DrivenFleet("w")
    fleet.offer("outline")
    fleet.arrive("painting")
    fleet.arrive("first", loras=(OUTLINE,))
    assert prefetched(fleet.handle(Withdrawn("first"))) == [("w", ())]


def test_only_for_the_first_of_many_that_wait_something_is_read_ahead():
    fleet = DrivenFleet("w", max_waiting=1000)
    for number in range(FIRST_REQUESTS + 1):
        fleet.offer(f"a{number}")
    fleet.arrive("painting")
    for number in range(FIRST_REQUESTS + 1):
        commands = fleet.arrive(f"r{number}", loras=(use(f"a{number}"),))
        assert bool(prefetched(commands)) == (number < FIRST_REQUESTS)
