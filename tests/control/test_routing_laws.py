import math
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.control.routing.affinity import Affinity
from safelight.control.routing.dlora_dispatch import DloraDispatch, dispatch_cost
from safelight.control.routing.hash_by_adapter import HashByAdapter
from safelight.control.routing.least_loaded import LeastLoaded
from safelight.control.routing.least_work import LeastWork
from safelight.control.routing.load_ranking import LoadRanking
from safelight.control.routing.policies import ROUTING_POLICIES
from safelight.control.routing.power_of_two import PowerOfTwo
from safelight.control.routing.protocol import RoutedRequest, routing_key
from safelight.control.routing.random import Random
from safelight.control.routing.round_robin import RoundRobin
from safelight.control.routing.soonest_finish import SoonestFinish

NOW = 100.0
EITHER = st.booleans()


@dataclass(frozen=True, kw_only=True)
class Worker:
    place: int
    load: int
    changed: int
    has_room: bool
    finish_s: float
    work_left_s: float
    is_host: bool
    rows_by_composition: tuple[int, ...]
    batch_rows: int = 4


@dataclass(frozen=True, kw_only=True)
class Fleet:
    workers: tuple[Worker, ...]

    @property
    def with_room(self):
        return tuple(worker for worker in self.workers if worker.has_room)

    @property
    def hosting(self):
        return tuple(worker for worker in self.with_room if worker.is_host)

    @property
    def total_load(self):
        return sum(worker.load for worker in self.workers)

    @property
    def least_loaded(self):
        return min(self.with_room, key=lambda worker: (worker.load, worker.changed), default=None)


@st.composite
def fleets(draw, *, has_room=EITHER):
    size = draw(st.integers(1, 8))
    changes = draw(st.permutations(range(size)))
    return Fleet(
        workers=tuple(
            Worker(
                place=place,
                load=draw(st.integers(0, 5)),
                changed=changes[place],
                has_room=draw(has_room),
                finish_s=NOW + draw(st.integers(0, 5)),
                work_left_s=draw(st.integers(0, 5)),
                is_host=draw(EITHER),
                rows_by_composition=tuple(draw(st.lists(st.integers(1, 9), max_size=3))),
            )
            for place in range(size)
        )
    )


REQUESTS = st.builds(RoutedRequest, sequence=st.integers(0, 1000), key=st.integers(0, 2**56 - 1))
BOUNDS = st.floats(1, 3)
every_policy = pytest.mark.parametrize("policy", ROUTING_POLICIES, ids=lambda policy: policy.name)


def test_no_two_policies_have_one_name():
    assert len({policy.name for policy in ROUTING_POLICIES}) == len(ROUTING_POLICIES)


@every_policy
@given(request=REQUESTS, fleet=fleets())
def test_the_worker_of_a_request_serves_its_model_and_has_room(policy, request, fleet):
    assert policy.choose(request, fleet, NOW) in {None, *fleet.with_room}


@every_policy
@given(request=REQUESTS, fleet=fleets(has_room=st.just(value=True)))
def test_no_request_waits_while_all_workers_have_room(policy, request, fleet):
    assert policy.choose(request, fleet, NOW) is not None


@every_policy
@given(request=REQUESTS, fleet=fleets(has_room=st.just(value=False)))
def test_every_request_waits_while_no_worker_has_room(policy, request, fleet):
    assert policy.choose(request, fleet, NOW) is None


@every_policy
@given(request=REQUESTS, fleet=fleets())
def test_equal_arguments_give_equal_choices(policy, request, fleet):
    assert policy.choose(request, fleet, NOW) is policy.choose(request, fleet, NOW)


@pytest.mark.parametrize(
    "policy",
    [policy for policy in ROUTING_POLICIES if not isinstance(policy, HashByAdapter | Affinity)],
    ids=lambda policy: policy.name,
)
@given(request=REQUESTS, fleet=fleets())
def test_a_policy_without_homes_lets_no_request_wait_while_any_worker_has_room(policy, request, fleet):
    assert (policy.choose(request, fleet, NOW) is None) == (not fleet.with_room)


@given(fleet=fleets(), first=st.integers(0, 1000))
def test_round_robin_takes_each_worker_with_room_in_every_round(fleet, first):
    requests = [RoutedRequest(sequence=first + turn, key=0) for turn in range(len(fleet.workers))]
    assert {RoundRobin().choose(request, fleet, NOW) for request in requests} - {None} == set(fleet.with_room)


@given(request=REQUESTS, fleet=fleets())
def test_least_loaded_takes_no_worker_while_another_with_room_has_less_load(request, fleet):
    chosen = LeastLoaded().choose(request, fleet, NOW)
    assert chosen is None or chosen.load == min(worker.load for worker in fleet.with_room)


@given(request=REQUESTS, fleet=fleets())
def test_soonest_finish_takes_no_worker_while_another_with_room_would_finish_sooner(request, fleet):
    chosen = SoonestFinish().choose(request, fleet, NOW)
    assert chosen is None or chosen.finish_s == min(worker.finish_s for worker in fleet.with_room)


@given(request=REQUESTS, fleet=fleets())
def test_least_work_takes_no_worker_while_another_with_room_has_less_work(request, fleet):
    chosen = LeastWork().choose(request, fleet, NOW)
    assert chosen is None or chosen.work_left_s == min(worker.work_left_s for worker in fleet.with_room)


@given(request=REQUESTS, fleet=fleets(has_room=st.just(value=True)))
def test_power_of_two_never_takes_the_one_worker_with_the_most_work(request, fleet):
    chosen = PowerOfTwo().choose(request, fleet, NOW)
    others = [worker.work_left_s for worker in fleet.workers if worker is not chosen]
    assert not others or chosen.work_left_s <= max(others)


@given(request=REQUESTS, fleet=fleets())
def test_dlora_dispatch_takes_a_worker_without_the_adapters_only_if_none_with_room_has_them(request, fleet):
    chosen = DloraDispatch().choose(request, fleet, NOW)
    assert chosen is None or chosen.is_host or not fleet.hosting


@pytest.mark.parametrize(
    ("rows", "calls"), [([], 0), ([3], 0), ([4], 0.6), ([9, 4], 1.8), ([3, 3], 1), ([7, 3, 2], 2.6), ([8, 3, 3], 2.2)]
)
def test_full_calls_of_one_composition_count_less_than_calls_over_what_is_left(rows, calls):
    assert dispatch_cost(rows, 4) == pytest.approx(calls)


@pytest.mark.parametrize("policy", [Random(), PowerOfTwo()], ids=lambda policy: policy.name)
def test_pseudo_random_choices_reach_every_worker_about_equally_often(policy):
    alike = [
        Worker(
            place=place,
            load=0,
            changed=place,
            has_room=True,
            finish_s=NOW,
            work_left_s=0,
            is_host=False,
            rows_by_composition=(),
        )
        for place in range(5)
    ]
    requests = [RoutedRequest(sequence=sequence, key=0) for sequence in range(1000)]
    chosen = Counter(policy.choose(request, Fleet(workers=tuple(alike)), NOW).place for request in requests)
    assert min(chosen[place] for place in range(5)) > 150


@given(fleet=fleets(has_room=st.just(value=True)), key=st.integers(0, 2**56 - 1), sequences=st.sets(st.integers(0, 99)))
def test_hash_by_adapter_sends_one_adapter_to_one_worker(fleet, key, sequences):
    requests = [RoutedRequest(sequence=sequence, key=key) for sequence in sequences]
    assert len({HashByAdapter().choose(request, fleet, NOW) for request in requests}) <= 1


@given(request=REQUESTS, fleet=fleets())
def test_hash_by_adapter_waits_for_the_home_of_an_adapter(request, fleet):
    home = fleet.workers[request.key % len(fleet.workers)]
    assert HashByAdapter().choose(request, fleet, NOW) is (home if home.has_room else None)


@given(request=REQUESTS, fleet=fleets(), bound=BOUNDS)
def test_affinity_gives_no_worker_more_than_its_bound(request, fleet, bound):
    chosen = Affinity(bound=bound).choose(request, fleet, NOW)
    most = math.ceil(bound * (fleet.total_load + 1) / len(fleet.workers))
    assert chosen is None or chosen.load + 1 <= most


@given(request=REQUESTS, fleet=fleets(), bound=BOUNDS)
def test_affinity_passes_only_workers_that_are_full(request, fleet, bound):
    chosen = Affinity(bound=bound).choose(request, fleet, NOW)
    size = len(fleet.workers)
    from_home = [fleet.workers[(request.key + step) % size] for step in range(size)]
    passed = from_home if chosen is None else from_home[: from_home.index(chosen)]
    assert all(not worker.has_room or worker.load >= bound * (fleet.total_load + 1) / size for worker in passed)


@given(names=st.sets(st.text(max_size=8), max_size=50))
def test_adapters_have_keys_of_their_own(names):
    assert len({routing_key(name) for name in names}) == len(names)


@given(changes=st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 4)), max_size=200))
def test_a_ranking_gives_the_least_loaded_and_among_equals_the_one_that_changed_longest_ago(changes):
    ranking, kept = LoadRanking(), {}
    for turn, (member, load) in enumerate(changes):
        if load is not None:
            ranking.update(member, load)
            kept[member] = (load, turn)
        elif member in kept:
            ranking.remove(member)
            del kept[member]
        assert (ranking.first, len(ranking)) == (min(kept, key=kept.__getitem__, default=None), len(kept))
