"""Moves between workers: the solver against an exact twin, and the approximation against doing nothing."""

import math
from itertools import combinations_with_replacement, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.planner.balancing import _Fleet, balanced
from safelight.planner.errors import ImpossibleProblem
from safelight.planner.exact_migration import best_moves
from safelight.planner.migration import Assignment, MigrationProblem, MigrationWorker, MovableRequest, merged

CLOSE_S = 1e-5
PAIR = st.just(2)
SECONDS = st.integers(0, 12).map(lambda tenths: tenths / 2)


@st.composite
def problems(draw, *, workers=PAIR, kinds=4, most=3):
    count, adapters = draw(workers), draw(st.integers(0, 3))
    names = st.frozensets(st.integers(0, adapters - 1), max_size=2) if adapters else st.just(frozenset())
    return MigrationProblem(
        workers=[
            MigrationWorker(
                fixed_s=draw(SECONDS),
                pinned=draw(names),
                hosted=draw(names),
                slots=draw(st.integers(0, 4)),
                memory=draw(st.sampled_from([2.0, 4.0, math.inf])),
            )
            for _ in range(count)
        ],
        requests=[
            MovableRequest(
                at=draw(st.integers(0, count - 1)),
                adapters=draw(names),
                work_s=tuple(draw(SECONDS) for _ in range(count)),
                memory=draw(st.sampled_from([0.0, 1.0])),
                count=draw(st.integers(1, most)),
            )
            for _ in range(draw(st.integers(0, kinds)))
        ],
        sizes=[draw(st.integers(1, 2)) for _ in range(adapters)],
        load_s=[draw(st.sampled_from([0.0, 0.5, 3.0])) for _ in range(adapters)],
        move_s=draw(st.sampled_from([0.0, 0.25])),
        overflow_s=draw(st.sampled_from([0.0, 1.0])),
        least_gain_s=draw(st.sampled_from([0.001, 0.3])),
    )


def spreads(count, workers):
    """All ways to give `count` alike requests to workers."""
    for bars in combinations_with_replacement(range(workers), count):
        yield tuple(bars.count(at) for at in range(workers))


def by_enumeration(problem):
    """The exact twin: the cheapest of all assignments."""
    ways = [list(spreads(request.count, len(problem.workers))) for request in problem.requests]
    answers = (Assignment(counts=counts) for counts in product(*ways))
    return min(problem.cost_s(answer) for answer in answers if problem.is_feasible(answer))


@settings(max_examples=150)
@given(problem=problems())
def test_the_best_moves_of_a_pair_cost_as_much_as_the_cheapest_of_all_assignments(problem):
    assert problem.cost_s(best_moves(problem)) == pytest.approx(by_enumeration(problem), abs=CLOSE_S)


@settings(max_examples=30)
@given(problem=problems(workers=st.just(3), kinds=3, most=2))
def test_the_solver_is_exact_for_three_workers_too(problem):
    assert problem.cost_s(best_moves(problem)) == pytest.approx(by_enumeration(problem), abs=CLOSE_S)


@given(problem=problems(kinds=8), most_nodes=st.integers(1, 3))
def test_a_limited_search_finds_nothing_worse_than_the_approximation(problem, most_nodes):
    answer = best_moves(problem, most_nodes=most_nodes, gap=0.1)
    assert problem.cost_s(answer) <= problem.cost_s(balanced(problem)) + 1e-9


@settings(max_examples=50)
@given(problem=problems(kinds=8), gap=st.sampled_from([0.01, 0.2]))
def test_an_answer_within_a_gap_costs_at_most_so_much_more(problem, gap):
    best_s = problem.cost_s(best_moves(problem))
    assert problem.cost_s(best_moves(problem, gap=gap)) <= best_s / (1 - gap) + CLOSE_S


@pytest.mark.parametrize("solver", [best_moves, balanced])
@settings(max_examples=60)
@given(problem=problems(workers=st.integers(1, 5)))
def test_no_request_is_lost_or_doubled_and_no_worker_gets_more_adapters_than_it_has_slots_for(solver, problem):
    answer = solver(problem)
    assert [sum(counts) for counts in answer.counts] == [request.count for request in problem.requests]
    assert all(min(counts) >= 0 for counts in answer.counts)
    assert problem.is_feasible(answer)


@given(problem=problems(workers=st.integers(1, 6), kinds=6))
def test_the_approximation_never_costs_more_than_no_move(problem):
    assert problem.cost_s(balanced(problem)) <= problem.cost_s(problem.staying) + 1e-9


@given(problem=problems(workers=st.integers(2, 6), kinds=6))
def test_the_approximation_counts_as_the_problem_does(problem):
    fleet = _Fleet.of(problem)
    while (move := fleet.best_move(8)) is not None:
        fleet.make(move)
        answer = Assignment(counts=tuple(tuple(row) for row in fleet.counts))
        assert fleet.cost_s == pytest.approx(problem.cost_s(answer))
        assert fleet.finish_s == pytest.approx([problem.finish_s(answer, at) for at in range(len(problem.workers))])


def crowd(count, *, workers=2, work_s=1.0, adapters=frozenset(), at=0):
    return MovableRequest(at=at, adapters=adapters, work_s=(work_s,) * workers, count=count)


@pytest.mark.parametrize("solver", [best_moves, balanced])
def test_equal_requests_are_shared_evenly(solver):
    problem = MigrationProblem(workers=[MigrationWorker(slots=0)] * 2, requests=[crowd(10)])
    assert solver(problem).counts == ((5, 5),)


@pytest.mark.parametrize("solver", [best_moves, balanced])
def test_nothing_moves_for_less_than_the_least_gain(solver):
    problem = MigrationProblem(workers=[MigrationWorker(slots=0)] * 2, requests=[crowd(3)], least_gain_s=1.5)
    assert solver(problem) == problem.staying


@pytest.mark.parametrize("solver", [best_moves, balanced])
def test_requests_do_not_move_where_their_adapter_has_no_room(solver):
    workers = [MigrationWorker(slots=4), MigrationWorker(slots=1, pinned=frozenset({1}))]
    problem = MigrationProblem(
        workers=workers, requests=[crowd(8, adapters=frozenset({0}))], sizes=[1, 1], load_s=[0.1, 0.1]
    )
    assert solver(problem) == problem.staying


def test_the_approximation_shares_work_among_a_whole_fleet():
    count = 40
    problem = MigrationProblem(workers=[MigrationWorker(slots=0)] * count, requests=[crowd(120, workers=count)])
    assert problem.makespan_s(balanced(problem)) == 3.0


def test_alike_requests_are_one_kind():
    first, second = crowd(1), crowd(1, work_s=2.0)
    kinds, numbers = merged([first, second, first])
    assert ([kind.count for kind in kinds], numbers) == ([2, 1], (0, 1, 0))


@pytest.mark.parametrize(
    "requests", [[crowd(1, at=2)], [crowd(1, workers=3)], [crowd(1, adapters=frozenset({0}))]], ids=str
)
def test_a_problem_that_contradicts_itself_is_refused(requests):
    with pytest.raises(ImpossibleProblem):
        MigrationProblem(workers=[MigrationWorker(slots=0)] * 2, requests=requests)
