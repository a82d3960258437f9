"""Moves between any number of workers: a fast approximation that always has an answer."""

from collections import Counter
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, NamedTuple

from safelight.planner.migration import LEAST_GAIN_S, Assignment, MigrationProblem, MovableRequest

COMPARED_TARGETS: Final = 8
MOST_MOVES: Final = 256


def balanced(problem: MigrationProblem, *, targets: int = COMPARED_TARGETS, most_moves: int = MOST_MOVES) -> Assignment:
    """Return an assignment that is never more expensive than no move.

    Again and again, the worker that would end last gives one request away, such that the later one of it and its new
    worker ends soonest, until nothing gains at least the least gain of a move for the two of them. The cheapest of all
    assignments on the way is the answer.

    Args:
        problem: to be solved.
        targets: how many workers are compared for each move: those that would end first.
        most_moves: the limit of moves.
    """
    fleet = _Fleet.of(problem)
    costs = [fleet.cost_s]
    moves: list[_RequestMove] = []
    while len(moves) < most_moves and (move := fleet.best_move(targets)) is not None:
        fleet.make(move)
        moves.append(move)
        costs.append(fleet.cost_s)
    counts = [list(row) for row in problem.staying.counts]
    for move in moves[: costs.index(min(costs))]:
        counts[move.kind][move.source] -= 1
        counts[move.kind][move.target] += 1
    return Assignment(counts=tuple(tuple(row) for row in counts))


class _RequestMove(NamedTuple):
    kind: int
    source: int
    target: int


@dataclass(slots=True, kw_only=True)
class _Fleet:
    """An assignment that changes, with what each worker needs.

    Attributes:
        counts: of the requests of each kind at each worker.
        uses: of each adapter by requests at each worker.
        taken: slots for these adapters.
        memory: of the requests at each worker.
        finish_s: of each worker.
        at_home: adapters that each worker need not load.
        moved: how many requests are not where they were.
    """

    problem: MigrationProblem
    counts: list[list[int]]
    uses: list[Counter[int]]
    taken: list[int]
    memory: list[float]
    finish_s: list[float]
    at_home: list[frozenset[int]]
    moved: int = 0

    @classmethod
    def of(cls, problem: MigrationProblem) -> "_Fleet":
        staying = problem.staying
        uses = [Counter(dict.fromkeys(worker.pinned, 1)) for worker in problem.workers]
        memory = [0.0] * len(problem.workers)
        for request in problem.requests:
            memory[request.at] += request.count * request.memory
            for adapter in request.adapters:
                uses[request.at][adapter] += request.count
        return cls(
            problem=problem,
            counts=[list(row) for row in staying.counts],
            uses=uses,
            taken=[problem.slots_needed(frozenset(used)) for used in uses],
            memory=memory,
            finish_s=[problem.finish_s(staying, at) for at in range(len(problem.workers))],
            at_home=[worker.hosted | frozenset(used) for worker, used in zip(problem.workers, uses, strict=True)],
        )

    @property
    def cost_s(self) -> float:
        """What is minimised."""
        return max(self.finish_s, default=0.0) + self.problem.least_gain_s * self.moved

    def best_move(self, targets: int) -> _RequestMove | None:
        """Return the move of one request that gains most, if any gains enough."""
        places = range(len(self.finish_s))
        if len(places) < 2:
            return None
        last = max(places, key=self.finish_s.__getitem__)
        others = nsmallest(targets, (at for at in places if at != last), key=self.finish_s.__getitem__)
        best: tuple[float, _RequestMove] | None = None
        for kind, request in enumerate(self.problem.requests):
            if not self.counts[kind][last]:
                continue
            left_s = self._without(request, last)
            for at in others:
                if (joined_s := self._with(request, at)) is None:
                    continue
                choice = (max(left_s, joined_s), _RequestMove(kind, last, at))
                if best is None or choice < best:
                    best = choice
        if best is None or best[0] > self.finish_s[last] - self._price_s(best[1]):
            return None
        return best[1]

    def make(self, move: _RequestMove) -> None:
        """Move one request."""
        kind, source, target = move
        request = self.problem.requests[kind]
        self.finish_s[source] = self._without(request, source)
        joined_s = self._with(request, target)
        assert joined_s is not None
        self.finish_s[target] = joined_s
        self.moved += (target != request.at) - (source != request.at)
        self.counts[kind][source] -= 1
        self.counts[kind][target] += 1
        self.memory[source] -= request.memory
        self.memory[target] += request.memory
        for adapter in request.adapters:
            self.uses[source][adapter] -= 1
            if not self.uses[source][adapter]:
                del self.uses[source][adapter]
                self.taken[source] -= self.problem.sizes[adapter]
            if not self.uses[target][adapter]:
                self.taken[target] += self.problem.sizes[adapter]
            self.uses[target][adapter] += 1

    def _price_s(self, move: _RequestMove) -> float:
        """Return what a move must gain at least; next to nothing for a request that has moved before."""
        return self.problem.least_gain_s if move.source == self.problem.requests[move.kind].at else LEAST_GAIN_S

    def _without(self, request: MovableRequest, at: int) -> float:
        """Return when a worker ends that gives one such request away."""
        freed_s = request.work_s[at] + (self.problem.move_s if request.at != at else 0.0)
        alone = (adapter for adapter in request.adapters if self.uses[at][adapter] == 1)
        loads_s = sum(self.problem.load_s[adapter] for adapter in alone if adapter not in self.at_home[at])
        less_s = self._overflow_s(at, 0.0) - self._overflow_s(at, -request.memory)
        return self.finish_s[at] - freed_s - loads_s - less_s

    def _with(self, request: MovableRequest, at: int) -> float | None:
        """Return when a worker ends that takes one such request; None if its adapters have no room there."""
        fresh = [adapter for adapter in request.adapters if not self.uses[at][adapter]]
        slots = self.taken[at] + sum(self.problem.sizes[adapter] for adapter in fresh)
        if fresh and slots > self.problem.workers[at].slots:
            return None
        loads_s = sum(self.problem.load_s[adapter] for adapter in fresh if adapter not in self.at_home[at])
        more_s = self._overflow_s(at, request.memory) - self._overflow_s(at, 0.0)
        moved_s = self.problem.move_s if request.at != at else 0.0
        return self.finish_s[at] + request.work_s[at] + moved_s + loads_s + more_s

    def _overflow_s(self, at: int, change: float) -> float:
        if not self.problem.overflow_s:
            return 0.0
        return self.problem.overflow_s * max(0.0, self.memory[at] + change - self.problem.workers[at].memory)
