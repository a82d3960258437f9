"""Caches against a stack of cards, an integer program, and libcachesim."""

import libcachesim
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from safelight.traces.caches import lockstep
from safelight.traces.caches.library import LIBRARY
from safelight.traces.caches.lru import FEW, all_depths, depths
from safelight.traces.caches.policy import BELADY, LFU, LIBRARY_NAMES, LRU, OWN, Capacities, CountsOnly, hits_of
from safelight.traces.caches.stream import Stream

POLICIES = (*OWN, *LIBRARY)
OF_BYTES = [policy for policy in POLICIES if policy.takes_bytes]

KEYS = st.lists(st.integers(0, 9), max_size=60)


@st.composite
def streams(draw):
    """Accesses of up to three instances, each with keys of its own."""
    keys = [(instance, key) for instance in range(3) for key in draw(KEYS)]
    return stream(keys)


def stream(keys):
    """A stream of pairs of an instance and an adapter, each access by another request."""
    instances = np.array([instance for instance, _ in keys], np.int64)
    adapters = np.array([adapter for _, adapter in keys], np.int64)
    return Stream(
        keys=instances * 100 + adapters,
        instances=instances,
        requests=np.arange(len(keys)),
        adapters=adapters,
        request_count=len(keys),
    )


def depths_of_a_pile(keys, weights):
    """Look for each key in a pile, lay it on top, and tell the weight down to where it was."""
    pile, found = [], []
    for key in keys:
        found.append(sum(weights[each] for each in pile[: pile.index(key) + 1]) if key in pile else 0)
        pile = [key, *(each for each in pile if each != key)]
    return found


def peer_hits(make, accesses, size, weights):
    """What a cache of libcachesim does for each instance."""
    hits = []
    for instance in range(3):
        cache = make(size, hashpower=4)
        for key in accesses.keys[accesses.instances == instance].tolist():
            request = libcachesim.Request()
            request.obj_id, request.obj_size = key + 1, weights[key % 100]
            hits.append(cache.get(request))
    return hits


def fewest_loads(keys, size):
    """Choose which reuses to keep so that never more than `size` are kept at once; the rest are loads."""
    last, reuses = {}, []
    for place, key in enumerate(keys):
        if key in last:
            reuses.append((last[key], place))
        last[key] = place
    if not reuses:
        return len(keys)
    kept = [[start <= moment < end for start, end in reuses] for moment in range(len(keys))]
    best = linprog([-1] * len(reuses), A_ub=np.array(kept, float), b_ub=[size] * len(keys), bounds=(0, 1))
    return len(keys) + round(best.fun)


@given(keys=KEYS)
def test_depths_are_those_of_a_pile(keys):
    assert all_depths(np.array(keys, np.int64)).tolist() == depths_of_a_pile(keys, [1] * 10)


@given(keys=KEYS, weights=st.lists(st.integers(1, 2**40), min_size=10, max_size=10))
def test_weighted_depths_are_those_of_a_pile(keys, weights):
    accesses = np.array(keys, np.int64)
    found = all_depths(accesses, np.array(weights, np.int64)[accesses])
    assert found.tolist() == depths_of_a_pile(keys, weights)


@given(keys=KEYS, at_most=st.sampled_from([1, 2, 3, 7, FEW, FEW + 1]))
def test_shallow_depths_are_the_shallow_ones_of_all(keys, at_most):
    deep = all_depths(np.array(keys, np.int64))
    assert depths(np.array(keys, np.int64), at_most=at_most).tolist() == np.where(deep <= at_most, deep, 0).tolist()


def test_keys_too_large_for_half_the_bytes_are_told_apart():
    keys = np.array([1, 1 + 2**32, 1, 1 + 2**32], np.int64)
    assert depths(keys, at_most=2).tolist() == all_depths(keys).tolist() == [0, 0, 2, 2]


@given(accesses=streams(), size=st.integers(1, 8))
def test_lru_hits_where_libcachesim_does(accesses, size):
    found = hits_of(LRU, accesses, Capacities(sizes=[size]))[0]
    assert found.tolist() == peer_hits(libcachesim.LRU, accesses, size, [1] * 10)


@given(accesses=streams(), size=st.integers(1, 40), weights=st.lists(st.integers(1, 20), min_size=10, max_size=10))
def test_lru_of_bytes_hits_where_libcachesim_does(accesses, size, weights):
    capacities = Capacities(sizes=[size], weights=np.array(weights, np.int64)[accesses.adapters])
    assert hits_of(LRU, accesses, capacities)[0].tolist() == peer_hits(libcachesim.LRU, accesses, size, weights)


@given(accesses=streams(), size=st.integers(1, 8))
def test_lfu_hits_where_libcachesim_does(accesses, size):
    found = hits_of(LFU, accesses, Capacities(sizes=[size]))[0]
    assert found.tolist() == peer_hits(libcachesim.LFU, accesses, size, [1] * 10)


@given(keys=KEYS, size=st.integers(1, 4))
def test_belady_loads_as_few_as_an_integer_program(keys, size):
    hits = hits_of(BELADY, stream([(0, key) for key in keys]), Capacities(sizes=[size]))[0]
    assert len(keys) - hits.sum() == fewest_loads(keys, size)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@settings(max_examples=40)
@given(accesses=streams())
def test_no_policy_hits_more_often_than_belady(policy, accesses):
    sizes = [size for size in (1, 2, 3, 6, 8) if size >= policy.least]
    found = hits_of(policy, accesses, Capacities(sizes=sizes)).sum(axis=1)
    assert (found <= hits_of(BELADY, accesses, Capacities(sizes=sizes)).sum(axis=1)).all()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@settings(max_examples=20)
@given(accesses=streams())
def test_a_first_use_never_hits_and_sizes_do_not_disturb_each_other(policy, accesses):
    sizes = [6, 9, 7]
    found = hits_of(policy, accesses, Capacities(sizes=sizes))
    first = np.unique(accesses.keys, return_index=True)[1]
    assert not found[:, first].any()
    alone = [hits_of(policy, accesses, Capacities(sizes=[size]))[0] for size in sizes]
    assert (found == np.array(alone).reshape(found.shape)).all()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_cache_with_room_for_twice_all_keys_loads_each_once(policy):
    accesses = stream([(instance, key % 7) for instance in range(2) for key in range(70)])
    assert hits_of(policy, accesses, Capacities(sizes=[14]))[0].sum() == 140 - 14


@pytest.mark.parametrize("policy", OF_BYTES, ids=lambda policy: policy.name)
def test_bytes_that_are_alike_count_as_adapters_do(policy):
    keys = np.random.default_rng(3).zipf(1.4, 4000) % 60
    accesses = stream([(0, key) for key in keys.tolist()])
    sizes = [8, 20, 50]
    counted = hits_of(policy, accesses, Capacities(sizes=sizes)).mean(axis=1)
    size_bytes = 325 << 20
    weights = np.full(len(keys), size_bytes)
    in_bytes = Capacities(sizes=[size * size_bytes + size_bytes // 2 for size in sizes], weights=weights)
    assert hits_of(policy, accesses, in_bytes).mean(axis=1) == pytest.approx(counted, abs=0.02)


@pytest.mark.parametrize("policy", OF_BYTES, ids=lambda policy: policy.name)
def test_the_smallest_cache_of_bytes_that_a_policy_can_keep_holds_something(policy):
    accesses = stream([(0, 0)] * 50)
    least = Capacities(sizes=[policy.least * 1000 + 500], weights=np.full(50, 1000))
    assert hits_of(policy, accesses, least).sum() == 49


@pytest.mark.parametrize("policy", [policy for policy in OF_BYTES if policy.least == 1], ids=lambda policy: policy.name)
def test_what_is_larger_than_a_cache_passes_by(policy):
    accesses = stream([(0, 0), (0, 1), (0, 0), (0, 1)] * 5)
    weights = np.where(accesses.adapters == 1, 5000, 10)
    hits = hits_of(policy, accesses, Capacities(sizes=[100], weights=weights))[0]
    assert not hits[accesses.adapters == 1].any()


@pytest.mark.parametrize("policy", [LFU, BELADY], ids=lambda policy: policy.name)
def test_policies_of_equal_sizes_refuse_bytes(policy):
    with pytest.raises(CountsOnly, match="only defined for adapters of equal size"):
        hits_of(policy, stream([(0, 0)]), Capacities(sizes=[1], weights=np.ones(1, np.int64)))


def test_more_than_a_number_can_tell_is_refused():
    assert lockstep._bits(2**27 - 2, 55) == (6, 27)
    with pytest.raises(lockstep.TooMuchToReplay, match="ask for fewer or smaller sizes"):
        lockstep._bits(2**28, 2**7)


def test_sizes_beyond_all_keys_cost_nothing():
    accesses = stream([(0, key % 5) for key in range(20)])
    assert hits_of(LFU, accesses, Capacities(sizes=[10**12]))[0].sum() == 15


def test_the_names_of_the_library_are_known_without_it():
    assert tuple(policy.name for policy in LIBRARY) == LIBRARY_NAMES
