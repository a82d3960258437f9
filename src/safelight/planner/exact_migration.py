"""The best moves between workers, by mixed-integer programming."""

from dataclasses import dataclass

from safelight.planner.balancing import balanced
from safelight.planner.migration import Assignment, MigrationProblem
from safelight.planner.program import Program
from safelight.planner.solver import MOST_NODES, solve


def best_moves(problem: MigrationProblem, *, most_nodes: int = MOST_NODES, gap: float = 0.0) -> Assignment:
    """Return the cheapest assignment; never one that costs more than that of `balanced`, with which the search begins.

    The time grows steeply with the number of workers: use it for pairs, and `balanced` for more.

    Args:
        problem: to be solved.
        most_nodes: of the search; the best assignment that it has found by then is returned.
        gap: how much more than the cheapest one the assignment may cost, as a share.
    """
    known = balanced(problem)
    written = _Written.of(problem)
    solution = solve(written.program, most_nodes=most_nodes, gap=gap, start=written.values(problem, known))
    if solution is None:
        return known
    counts = tuple(tuple(round(solution.values[number]) for number in row) for row in written.counts)
    found = Assignment(counts=counts)
    is_whole = all(sum(row) == request.count for row, request in zip(counts, problem.requests, strict=True))
    if not is_whole or not problem.is_feasible(found) or problem.cost_s(found) >= problem.cost_s(known):
        return known
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A program, and the numbers of its variables.

    Attributes:
        counts: of the requests of each kind at each worker.
        hosts: whether each worker has an adapter, by adapter.
        overflows: memory that each worker lacks.
    """

    program: Program
    makespan: int
    counts: list[list[int]]
    hosts: list[dict[int, int]]
    overflows: list[int]

    def values(self, problem: MigrationProblem, assignment: Assignment) -> list[float]:
        """Return the values of all variables for an assignment."""
        values = [0.0] * len(self.program.variables)
        values[self.makespan] = problem.makespan_s(assignment)
        for numbers, counts in zip(self.counts, assignment.counts, strict=True):
            for number, count in zip(numbers, counts, strict=True):
                values[number] = count
        for at, hosts in enumerate(self.hosts):
            needed = problem.needed(assignment, at)
            values[self.overflows[at]] = problem.overflow(assignment, at)
            for adapter, number in hosts.items():
                values[number] = float(adapter in needed)
        return values

    @classmethod
    def of(cls, problem: MigrationProblem) -> "_Written":
        program = Program()
        makespan = program.variable(cost=1.0)
        counts = [
            [
                program.variable(
                    cost=0.0 if at == request.at else problem.least_gain_s, upper=request.count, is_integer=True
                )
                for at in range(len(problem.workers))
            ]
            for request in problem.requests
        ]
        for request, row in zip(problem.requests, counts, strict=True):
            program.require(dict.fromkeys(row, 1.0), lower=request.count, upper=request.count)
        written = cls(program=program, makespan=makespan, counts=counts, hosts=[], overflows=[])
        for at in range(len(problem.workers)):
            written._write_worker(problem, at)
        return written

    def _write_worker(self, problem: MigrationProblem, at: int) -> None:
        program, counts = self.program, [row[at] for row in self.counts]
        worker = problem.workers[at]
        before = problem.needed(problem.staying, at)
        hosts: dict[int, int] = {}
        for request, count in zip(problem.requests, counts, strict=True):
            for adapter in request.adapters - worker.pinned:
                if adapter not in hosts:
                    hosts[adapter] = program.variable(upper=1.0, is_integer=True)
                program.require({count: 1.0, hosts[adapter]: -float(request.count)}, upper=0.0)
        slots = max(worker.slots, problem.slots_needed(before)) - problem.slots_needed(worker.pinned)
        taken = {number: float(problem.sizes[adapter]) for adapter, number in hosts.items()}
        if taken:
            program.require(taken, upper=slots)
        overflow = program.variable()
        self.hosts.append(hosts)
        self.overflows.append(overflow)
        if problem.overflow_s:
            memory = {count: request.memory for request, count in zip(problem.requests, counts, strict=True)}
            program.require(memory | {overflow: -1.0}, upper=worker.memory)
        seconds = {
            count: request.work_s[at] + (problem.move_s if at != request.at else 0.0)
            for request, count in zip(problem.requests, counts, strict=True)
        }
        loads = {
            number: problem.load_s[adapter]
            for adapter, number in hosts.items()
            if adapter not in worker.hosted and adapter not in before
        }
        program.require(seconds | loads | {overflow: problem.overflow_s, self.makespan: -1.0}, upper=-worker.fixed_s)
