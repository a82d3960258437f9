"""Proactive placement: within memory, no worse than an even one, and near the best of all."""

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.planner.burst_tolerance import (
    PlacementProblem,
    burst_tolerance,
    burst_tolerant_placement,
    free_memory,
    uniform_placement,
)

SHARE_OF_THE_BEST = 0.75
"""Of the best burst tolerance that any placement has, where each worker has room for all adapters twice."""

COUNTS = st.integers(1, 6)
SMALL_COUNTS = st.integers(1, 3)
EITHER = st.booleans()


@st.composite
def problems(draw, *, adapters=COUNTS, workers=COUNTS, limited=EITHER, is_ample=False):
    count, fleet = draw(adapters), draw(workers)
    sizes = [draw(st.integers(1, 4)) for _ in range(count)]
    least = 2 * sum(sizes) if is_ample else 0
    places = st.frozensets(st.integers(0, fleet - 1))
    return PlacementProblem(
        sizes=sizes,
        shares=[draw(st.integers(1, 20)) for _ in range(count)],
        memory=[draw(st.integers(least, least + 16)) for _ in range(fleet)],
        allowed=[draw(places) for _ in range(count)] if draw(limited) else None,
    )


def every_placement(problem):
    adapters = range(len(problem.sizes))
    held = [frozenset(some) for size in range(len(adapters) + 1) for some in combinations(adapters, size)]
    for placement in product(held, repeat=len(problem.memory)):
        if min(free_memory(problem, placement)) >= 0:
            yield placement


@pytest.mark.parametrize("place", [uniform_placement, burst_tolerant_placement])
@given(problem=problems())
def test_no_worker_holds_more_than_its_memory_or_what_it_may_not(place, problem):
    placement = place(problem)
    assert len(placement) == len(problem.memory)
    assert min(free_memory(problem, placement)) >= 0
    assert all(problem.may_hold(adapter, at) for at, held in enumerate(placement) for adapter in held)


@given(problem=problems())
def test_it_tolerates_no_smaller_bursts_than_an_even_placement(problem):
    tolerant, even = burst_tolerant_placement(problem), uniform_placement(problem)
    assert burst_tolerance(problem, tolerant) >= burst_tolerance(problem, even)


@settings(max_examples=60)
@given(problem=problems(adapters=SMALL_COUNTS, workers=SMALL_COUNTS, limited=st.just(value=False), is_ample=True))
def test_in_small_cases_it_tolerates_at_least_three_quarters_of_the_bursts_that_any_placement_does(problem):
    best = max(burst_tolerance(problem, placement) for placement in every_placement(problem))
    assert burst_tolerance(problem, burst_tolerant_placement(problem)) >= SHARE_OF_THE_BEST * best


@given(problem=problems(limited=st.just(value=False)))
def test_an_adapter_is_left_out_only_if_it_fits_beside_no_placement(problem):
    placement = burst_tolerant_placement(problem)
    free = free_memory(problem, placement)
    left_out = set(range(len(problem.sizes))).difference(*placement)
    assert all(problem.sizes[adapter] > max(free) for adapter in left_out)


def test_a_popular_adapter_has_more_replicas():
    problem = PlacementProblem(sizes=[1, 1], shares=[9, 1], memory=[10] * 4)
    replicas = [sum(adapter in held for held in burst_tolerant_placement(problem)) for adapter in (0, 1)]
    assert replicas[0] > replicas[1] >= 1
