"""Which requests move to another worker: the problem, and what an answer costs.

The formulation is that of dLoRA's migration (Wu et al., OSDI 2024; `migration_ilp.py` of the artifact), with two
differences: a request moves as a whole, and an adapter that has to be loaded costs its seconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from safelight.planner.errors import ImpossibleProblem

LEAST_GAIN_S: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class MovableRequest:
    """Requests that are alike, `count` of them.

    Attributes:
        at: the number of the worker that has them.
        adapters: numbers of the adapters that each of them needs.
        work_s: seconds that each of them takes from each worker.
        memory: of each of them.
    """

    at: int
    adapters: frozenset[int] = frozenset()
    work_s: tuple[float, ...]
    memory: float = 0.0
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationWorker:
    """A worker that requests may leave or come to.

    Attributes:
        fixed_s: seconds of the work that stays.
        pinned: adapters that this work needs.
        hosted: adapters on its device.
        slots: for adapters.
        memory: for the requests that may move.
    """

    fixed_s: float = 0.0
    pinned: frozenset[int] = frozenset()
    hosted: frozenset[int] = frozenset()
    slots: int
    memory: float = float("inf")


@dataclass(frozen=True, kw_only=True)
class MigrationProblem:
    """Workers, what they have, and what moves cost.

    Attributes:
        sizes: slots that each adapter takes.
        move_s: seconds that a request costs the worker that it moves to.
        load_s: seconds that each adapter costs a worker that has to load it.
        overflow_s: seconds for each unit of memory that requests need beyond what their worker has.
        least_gain_s: how much sooner everything must be over for each move; so no move is useless.
    """

    workers: Sequence[MigrationWorker]
    requests: Sequence[MovableRequest]
    sizes: Sequence[int] = ()
    move_s: float = 0.0
    load_s: Sequence[float] = ()
    overflow_s: float = 0.0
    least_gain_s: float = LEAST_GAIN_S

    def __post_init__(self) -> None:
        count = len(self.workers)
        for request in self.requests:
            if not 0 <= request.at < count or len(request.work_s) != count:
                raise ImpossibleProblem(f"a request is at worker {request.at} of {count}")
            if any(not 0 <= adapter < len(self.sizes) for adapter in request.adapters):
                raise ImpossibleProblem(f"a request needs one of adapters {sorted(request.adapters)}, not all known")
        if len(self.load_s) != len(self.sizes):
            raise ImpossibleProblem(f"{len(self.sizes)} adapters have {len(self.load_s)} loading times")

    @cached_property
    def staying(self) -> "Assignment":
        """The answer in which nothing moves."""
        return Assignment(
            counts=tuple(
                tuple(request.count if at == request.at else 0 for at in range(len(self.workers)))
                for request in self.requests
            )
        )

    def needed(self, assignment: "Assignment", at: int) -> frozenset[int]:
        """Return the adapters that a worker needs."""
        here = (request.adapters for request, counts in self._of(assignment) if counts[at])
        return self.workers[at].pinned.union(*here)

    def is_feasible(self, assignment: "Assignment") -> bool:
        """Whether no worker needs more adapters than it has slots for, unless it did before."""
        return all(
            self.slots_needed(needed) <= self.workers[at].slots or needed <= self.needed(self.staying, at)
            for at in range(len(self.workers))
            for needed in (self.needed(assignment, at),)
        )

    def slots_needed(self, adapters: frozenset[int]) -> int:
        """Return the slots that adapters take."""
        return sum(self.sizes[adapter] for adapter in adapters)

    def finish_s(self, assignment: "Assignment", at: int) -> float:
        """Return the seconds until a worker has done everything."""
        worker = self.workers[at]
        work_s, moved = worker.fixed_s, 0
        for request, counts in self._of(assignment):
            work_s += counts[at] * request.work_s[at]
            moved += counts[at] if at != request.at else 0
        loads_s = sum(self.load_s[adapter] for adapter in self.needed(assignment, at) - self._present(at))
        return work_s + self.move_s * moved + loads_s + self.overflow_s * self.overflow(assignment, at)

    def overflow(self, assignment: "Assignment", at: int) -> float:
        """Return the memory that a worker lacks."""
        memory = sum(counts[at] * request.memory for request, counts in self._of(assignment))
        return max(0.0, memory - self.workers[at].memory)

    def makespan_s(self, assignment: "Assignment") -> float:
        """Return the seconds until all workers have done everything."""
        return max((self.finish_s(assignment, at) for at in range(len(self.workers))), default=0.0)

    def cost_s(self, assignment: "Assignment") -> float:
        """Return what is minimised: the makespan, and the least gain of each move."""
        return self.makespan_s(assignment) + self.least_gain_s * self.moves(assignment)

    def moves(self, assignment: "Assignment") -> int:
        """Return how many requests move."""
        return sum(sum(counts) - counts[request.at] for request, counts in self._of(assignment))

    def _present(self, at: int) -> frozenset[int]:
        """Return the adapters of a worker that need no load, or whose load is under way whatever moves."""
        return self.workers[at].hosted | self.needed(self.staying, at)

    def _of(self, assignment: "Assignment") -> Sequence[tuple[MovableRequest, tuple[int, ...]]]:
        return list(zip(self.requests, assignment.counts, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An answer: for each kind of requests, how many go to each worker."""

    counts: tuple[tuple[int, ...], ...]


def merged(requests: Sequence[MovableRequest]) -> tuple[tuple[MovableRequest, ...], tuple[int, ...]]:
    """Return the kinds of requests, each with its count, and the kind of each request."""
    kinds: dict[MovableRequest, int] = {}
    numbers = [kinds.setdefault(request, len(kinds)) for request in requests]
    counts = Counter(numbers)
    made = [
        MovableRequest(
            at=kind.at,
            adapters=kind.adapters,
            work_s=kind.work_s,
            memory=kind.memory,
            count=kind.count * counts[number],
        )
        for kind, number in kinds.items()
    ]
    return tuple(made), tuple(numbers)
