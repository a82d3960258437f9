"""What workers hold and which requests move: what holds for every policy that plans, and what holds for each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.driven_fleet import DrivenFleet
from control.makers import LARGE, adapter, request, spec, state, use, worker, workers
from control.virtual_fleet import VirtualFleet
from safelight.adapters.capacity import AdapterCapacity
from safelight.control.adapter_directory import AdapterDirectory
from safelight.control.commands import Send
from safelight.control.events import AdapterOffered, TimePassed
from safelight.control.placement.burst_tolerance import BurstTolerance
from safelight.control.placement.demand import AdapterDemand
from safelight.control.placement.dlora import Dlora
from safelight.control.placement.migration import Migration
from safelight.control.placement.no_prefetch import NoPrefetch
from safelight.control.placement.policies import PLACEMENT_POLICIES
from safelight.control.placement.protocol import PlacementView
from safelight.control.placement.replicate_hot import ReplicateHot
from safelight.control.placement.schedule import SETTLE_S, PlanSchedule
from safelight.control.policies import Policies
from safelight.control.routing.round_robin import RoundRobin
from safelight.control.waiting import WaitingQueue
from safelight.core.adapter import AdapterHandle
from safelight.core.work import AdapterAdded, Pause, Paused, Place, Ready, Run

PLANNING = [policy for policy in PLACEMENT_POLICIES if policy.period_s is not None]
every_planning_policy = pytest.mark.parametrize("policy", PLANNING, ids=lambda policy: policy.name)


def able(name, *, ranks=16, controlnets=2, size=10_000, most=4, models=(LARGE,)):
    """A worker that tells how many adapters it holds."""
    made = worker(name, *map(spec, models), most=most)
    made.ready = Ready(
        models=made.ready.models,
        max_denoiser_rows=most,
        adapter_bytes=size,
        device_ranks=ranks,
        device_controlnets=controlnets,
    )
    return made


def directory(*specs):
    """The adapters that requests may name."""
    made = AdapterDirectory()
    for each in specs:
        command = made.offer(AdapterOffered(each.name, each.name, f"/adapters/{each.name}"))
        made.added(AdapterAdded(handle=command.handle, spec=each))
    return made


def view_of(fleet, adapters, asked=(), *, held=None, now=0.0):
    demand, known = AdapterDemand(), directory(*adapters)
    handles = {each.spec.name: each.handle for each in known.registered}
    for names in asked:
        demand.requested(tuple(handles.get(name, AdapterHandle(name, 99)) for name in names), now)
    live = workers({each: (held or {}).get(each.name, ()) for each in fleet})
    return PlacementView(waiting=WaitingQueue(), workers=live, adapters=known, demand=demand, now=now)


def held_names(plan):
    return {worker: [handle.name for handle in handles] for worker, handles in plan.holds.items()}


def ranked(name, rank, **fields):
    return replace_spec(adapter(name, **fields), ranks=(rank,))


def replace_spec(made, **fields):
    return type(made)(**{name: getattr(made, name) for name in made.__struct_fields__} | fields)


NAMES = [f"a{number}" for number in range(6)]
SPECS = st.lists(st.integers(1, 8), min_size=1, max_size=6).map(
    lambda ranks: [ranked(name, rank) for name, rank in zip(NAMES, ranks, strict=False)]
)
FLEETS = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 9000)), min_size=1, max_size=5)
ASKED = st.lists(st.lists(st.sampled_from(NAMES), max_size=2, unique=True), max_size=30)


@every_planning_policy
@given(specs=SPECS, fleet=FLEETS, asked=ASKED)
def test_no_worker_is_told_to_hold_more_than_it_has_memory_for(policy, specs, fleet, asked):
    able_ones = [able(f"w{n}", ranks=ranks, size=size) for n, (ranks, size) in enumerate(fleet)]
    view = view_of(able_ones, specs, asked)
    known = {each.handle: each.spec for each in view.adapters.registered}
    for name, handles in policy.plan(view).holds.items():
        ready = view.workers.get(name).ready
        capacity = AdapterCapacity(
            host_bytes=ready.adapter_bytes,
            device_ranks=ready.device_ranks,
            device_controlnets=ready.device_controlnets,
        )
        assert len(set(handles)) == len(handles)
        assert capacity.holds([known[handle] for handle in handles])


@every_planning_policy
@given(specs=SPECS, fleet=FLEETS, asked=ASKED)
def test_what_is_in_place_stays_while_nothing_changes(policy, specs, fleet, asked):
    able_ones = [able(f"w{n}", ranks=ranks, size=size) for n, (ranks, size) in enumerate(fleet)]
    view = view_of(able_ones, specs, asked)
    for name, handles in policy.plan(view).holds.items():
        view.workers.get(name).placed = handles
    assert policy.plan(view).holds == {}


@every_planning_policy
@given(specs=SPECS, asked=ASKED, now=st.floats(0, 200))
def test_equal_views_give_equal_plans(policy, specs, asked, now):
    plans = [policy.plan(view_of([able("v"), able("w")], specs, asked, now=now)) for _ in range(2)]
    assert plans[0].holds == plans[1].holds


@every_planning_policy
def test_a_worker_that_does_not_tell_its_memory_holds_nothing(policy):
    view = view_of([worker("w")], [adapter("a0")], [["a0"]])
    assert policy.plan(view).holds == {}


@every_planning_policy
def test_what_is_removed_is_held_no_longer(policy):
    view = view_of([able("w")], [ranked("a0", 4), ranked("a1", 4)], [["a0"], ["a1"]])
    view.workers.get("w").placed = policy.plan(view).holds["w"]
    gone, _ = view.adapters.remove("a0")
    assert gone.name == "a0"
    assert [handle.name for handle in policy.plan(view).holds["w"]] == ["a1"]


def test_a_popular_adapter_is_placed_on_more_workers():
    view = view_of([able(f"w{n}") for n in range(4)], [ranked("a0", 4), ranked("a1", 4)], [["a0"]] * 20)
    holds = held_names(BurstTolerance().plan(view))
    replicas = [sum(name in held for held in holds.values()) for name in ("a0", "a1")]
    assert replicas[0] > replicas[1] >= 1


def test_workers_beyond_those_that_are_planned_for_hold_the_same_in_turn():
    view = view_of([able(f"w{n}") for n in range(5)], [ranked(name, 4) for name in NAMES], [["a0"]] * 9)
    holds = held_names(BurstTolerance(workers=2).plan(view))
    assert holds["w0"] == holds["w2"] == holds["w4"]
    assert holds["w1"] == holds["w3"]


def test_a_worker_that_joins_gets_a_placement_though_the_others_keep_theirs():
    fleet = [able("old"), able("new")]
    view = view_of(fleet, [ranked("a0", 4)], [["a0"]])
    fleet[0].placed = BurstTolerance().plan(view).holds["old"]
    assert held_names(BurstTolerance().plan(view)) == {"new": ["a0"]}


def test_an_adapter_is_placed_only_where_its_model_is_served():
    fleet = [able("large"), able("small", models=("shapes-small",))]
    view = view_of(fleet, [ranked("a0", 4), ranked("a1", 4, model="shapes-small")], [["a0"], ["a1"]])
    for policy in PLANNING:
        assert held_names(policy.plan(view)) == {"large": ["a0"], "small": ["a1"]}


def test_a_hot_composition_is_held_together_by_its_share_of_the_workers():
    view = view_of([able(f"w{n}") for n in range(4)], [ranked(n, 4) for n in NAMES[:3]], [["a0", "a1"]] * 5 + [[]] * 5)
    assert list(held_names(ReplicateHot().plan(view)).values()) == [["a0", "a1"]] * 2


def crowd(count, *, first=0, **fields):
    asked = [request(f"r{number}", **{"steps": 40} | fields) for number in range(first, first + count)]
    return [state(each, number=number) for number, each in enumerate(asked, first)]


def test_requests_leave_the_only_overloaded_worker_for_the_emptiest():
    view = view_of([able("full"), able("empty")], [], held={"full": crowd(4)})
    moves = Migration().moves(view)
    assert [(move.request.id, move.worker.name) for move in moves] == [("r3", "empty"), ("r2", "empty")]


def test_nothing_moves_in_a_balanced_fleet():
    view = view_of([able("a"), able("b")], [], held={"a": crowd(3), "b": crowd(2, first=3)})
    assert Migration().moves(view) == ()


def test_many_overloaded_workers_are_relieved_at_once():
    fleet = [able(f"full{n}") for n in range(3)] + [able(f"empty{n}") for n in range(4)]
    held = {f"full{n}": crowd(4, first=4 * n) for n in range(3)}
    targets = {move.worker.name for move in Migration().moves(view_of(fleet, [], held=held))}
    assert len(targets) == 3


def test_a_request_that_was_stopped_before_moves_no_more():
    stopped = crowd(4)
    for each in stopped:
        each.stops = 2
    assert Migration().moves(view_of([able("full"), able("empty")], [], held={"full": stopped})) == ()


def test_a_request_that_is_nearly_ready_stays():
    nearly = crowd(4)
    for each in nearly:
        each.step = 39
    assert Migration().moves(view_of([able("full"), able("empty")], [], held={"full": nearly})) == ()


COUNTS = st.lists(st.integers(0, 6), min_size=2, max_size=6)


@settings(max_examples=60)
@given(counts=COUNTS, steps=st.lists(st.integers(1, 8), min_size=36, max_size=36))
def test_each_request_moves_at_most_once_and_to_another_worker(counts, steps):
    fleet, held, first = [able(f"w{n}", most=6) for n in range(len(counts))], {}, 0
    for each, count in zip(fleet, counts, strict=True):
        held[each.name] = [state(request(f"r{n}", steps=steps[n]), number=n) for n in range(first, first + count)]
        first += count
    view = view_of(fleet, [], held=held)
    moves = Migration().moves(view)
    assert len({move.request.id for move in moves}) == len(moves)
    assert all(move.request.worker not in {None, move.worker.name} for move in moves)


@given(asked=ASKED, seconds=st.lists(st.floats(0, 2000), min_size=30, max_size=30))
def test_demand_counts_a_request_half_as_much_after_each_half_life(asked, seconds):
    demand, now, plain = AdapterDemand(half_life_s=100.0), 0.0, {}
    for names, later_s in zip(asked, seconds, strict=False):
        now += later_s
        handles = tuple(AdapterHandle(name, 1) for name in names)
        demand.requested(handles, now)
        plain.setdefault(handles, []).append(now)
    counts = demand.counts(now)
    for handles, moments in plain.items():
        exact = sum(0.5 ** ((now - moment) / 100.0) for moment in moments)
        assert counts.get(handles, 0.0) == pytest.approx(exact, abs=0.05)


def test_plans_come_once_a_period_while_requests_come_and_soon_after_changes():
    schedule = PlanSchedule(10.0)
    assert schedule.next_s is None
    schedule.changed(1.0)
    assert schedule.next_s == 1.0 + SETTLE_S
    assert not schedule.take(1.5)
    assert schedule.take(2.0)
    assert schedule.next_s is None
    schedule.requested(5.0)
    assert schedule.next_s == 12.0


def test_a_policy_without_a_period_is_never_asked_for_a_plan():
    schedule = PlanSchedule(None)
    schedule.changed(1.0)
    schedule.requested(1.0)
    assert schedule.next_s is None


def planned(fleet, *, now):
    """The commands of the next plan."""
    assert fleet.controller.next_wakeup_s is not None
    return fleet.handle(TimePassed(), now=now)


def test_workers_are_told_what_to_hold_once_and_again_when_it_changes():
    fleet = DrivenFleet(policies=Policies(placement=BurstTolerance()))
    fleet.join_able("w")
    handle = fleet.offer("outline")
    assert [each.command for each in planned(fleet, now=5.0)] == [Place(handles=(handle,))]
    fleet.arrive(loras=(use("outline"),))
    assert not [each for each in planned(fleet, now=80.0) if isinstance(each, Send) and isinstance(each.command, Place)]


def test_a_request_that_moves_goes_on_where_it_was_sent():
    fleet = DrivenFleet("w", "v", max_denoiser_rows=4, policies=Policies(placement=Dlora(), routing=RoundRobin()))
    names = [f"r{number}" for number in range(8)]
    for name in names:
        fleet.arrive(name, steps=80)
    for name, running in fleet.running.items():
        if running.worker == "v":
            fleet.finish(name, worker="v")
    commands = planned(fleet, now=30.0)
    pauses = [(each.worker, each.command.request_id) for each in commands if isinstance(each.command, Pause)]
    assert len(pauses) == 2
    for source, name in pauses:
        (run,) = fleet.report(Paused(request_id=name, row=None), worker=source)
        assert isinstance(run.command, Run)
        assert run.worker not in {source, None}
        assert run.command.job.attempt == 1


QUICK = [
    BurstTolerance(period_s=0.05),
    Dlora(period_s=0.05, placement=BurstTolerance(period_s=0.1), migration=Migration(above_mean=0.1, move_s=0.001)),
    ReplicateHot(period_s=0.05),
]


@pytest.mark.parametrize("policy", QUICK, ids=lambda policy: policy.name)
@settings(max_examples=20)
@given(
    steps=st.lists(st.integers(1, 12), min_size=1, max_size=24),
    loras=st.lists(st.sampled_from([(), ("mask",), ("outline",), ("mask", "outline")]), min_size=24, max_size=24),
    kill=st.none() | st.integers(1, 8),
)
def test_no_request_is_lost_or_doubled_whatever_is_placed_and_moved(policy, steps, loras, kill):
    specs = [ranked(name, 8, weights_bytes=10**6) for name in ("mask", "outline")]
    fleet = VirtualFleet(
        (spec(LARGE),),
        (spec(LARGE),),
        adapters=specs,
        policies=Policies(placement=policy, routing=RoundRobin()),
        max_attempts=99,
    )
    begun_s = fleet.time.now_s()
    for number, (count, names) in enumerate(zip(steps, loras, strict=False)):
        asked = request(f"r{number}", steps=count, arrived_s=fleet.time.now_s(), loras=tuple(map(use, names)))
        fleet.arrive(asked)
        if number == kill:
            fleet.kill("w0")
            fleet.join((spec(LARGE),))
        fleet.time.run(until=begun_s + 0.03 * (number + 1))
    fleet.time.run()
    assert set(fleet.ready_s) == {f"r{number}" for number in range(len(steps))}
    assert fleet.controller.is_idle


def last_end_s(policy):
    """When eight long requests end whose only worker gets company soon after they have come."""
    fleet = VirtualFleet((spec(LARGE),), max_denoiser_rows=8, lookahead_rows=0, policies=Policies(placement=policy))
    begun_s = fleet.time.now_s()
    fleet.arrive(*(request(f"r{number}", steps=60, arrived_s=begun_s) for number in range(8)))
    fleet.time.run(until=begun_s + 0.5)
    fleet.join((spec(LARGE),))
    fleet.time.run()
    assert all(outcome.status == "finished" for outcome in fleet.outcomes.values())
    return max(fleet.ready_s.values()) - begun_s, sum(outcome.pauses for outcome in fleet.outcomes.values())


def test_requests_that_move_to_a_worker_that_joins_end_sooner():
    ends_s, moves = zip(*map(last_end_s, (NoPrefetch(), QUICK[1])), strict=True)
    assert ends_s[1] < 0.8 * ends_s[0]
    assert moves == (0, 4)
