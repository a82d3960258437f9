"""Where adapters are placed, so that a burst of any of them finds memory: dLoRA's proactive placement.

(Wu et al., OSDI 2024; `find_best_lora_weight_schedule` and `calc_min_bt` of the artifact.)
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

COMPARED_WORKERS: Final = 16


@dataclass(frozen=True, kw_only=True)
class PlacementProblem:
    """Adapters, and the memory of workers.

    Attributes:
        sizes: memory that each adapter takes, at least 1.
        shares: expected share of the requests that use each adapter, above 0; the sum need not be 1.
        memory: of each worker, in the same unit as `sizes`.
        allowed: the workers that each adapter may be on; all if None.
    """

    sizes: Sequence[int]
    shares: Sequence[float]
    memory: Sequence[int]
    allowed: Sequence[frozenset[int]] | None = None

    def may_hold(self, adapter: int, worker: int) -> bool:
        """Return whether an adapter may be on a worker."""
        return self.allowed is None or worker in self.allowed[adapter]


Placement = Sequence[frozenset[int]]
"""The adapters on each worker."""


def free_memory(problem: PlacementProblem, placement: Placement) -> list[int]:
    """Return the memory of each worker beside its adapters; negative if they do not fit."""
    taken = (sum(problem.sizes[adapter] for adapter in held) for held in placement)
    return [memory - size for memory, size in zip(problem.memory, taken, strict=True)]


def burst_tolerance(problem: PlacementProblem, placement: Placement) -> float:
    """Return the least, over all adapters, of the free memory of the workers that hold it over its share."""
    free = free_memory(problem, placement)
    sums = [0.0] * len(problem.sizes)
    for held, memory in zip(placement, free, strict=True):
        for adapter in held:
            sums[adapter] += memory
    return min((total / share for total, share in zip(sums, problem.shares, strict=True)), default=math.inf)


def uniform_placement(problem: PlacementProblem) -> list[frozenset[int]]:
    """Return each adapter on one worker, in turn; one that fits nowhere is left out."""
    state = _Placing(problem)
    turn = 0
    for adapter in range(len(problem.sizes)):
        for step in range(len(problem.memory)):
            worker = (turn + step) % len(problem.memory)
            if state.fits(adapter, worker):
                state.put(adapter, worker)
                turn = worker + 1
                break
    return state.placement


def burst_tolerant_placement(problem: PlacementProblem) -> list[frozenset[int]]:
    """Return a placement with a high burst tolerance, never less than that of `uniform_placement`.

    The adapter whose share of all replicas lags most behind its expected share gets one more replica, on a worker with
    few adapters, unless that lowers the burst tolerance. Each adapter that fits has one replica at least; where not all
    fit, those with the largest shares have.
    """
    best: list[frozenset[int]] = []
    for start in _starts(problem):
        start.replicate()
        if not best or burst_tolerance(problem, start.placement) > burst_tolerance(problem, best):
            best = start.placement
    return best


def _starts(problem: PlacementProblem) -> Iterator["_Placing"]:
    """Yield placements to begin with: popular adapters first, large ones first, an even one, and all everywhere."""
    adapters = range(len(problem.sizes))
    for order in (
        sorted(adapters, key=lambda adapter: -problem.shares[adapter]),
        sorted(adapters, key=lambda adapter: (-problem.sizes[adapter], -problem.shares[adapter])),
    ):
        state = _Placing(problem)
        state.place_all(order)
        yield state
    yield _Placing(problem, uniform_placement(problem))
    everywhere = _Placing(problem)
    everywhere.place_all(sorted(adapters, key=lambda adapter: -problem.shares[adapter]))
    for adapter in adapters:
        for worker in range(len(problem.memory)):
            if everywhere.fits(adapter, worker):
                everywhere.put(adapter, worker)
    yield everywhere


class _Placing:
    """A placement that grows.

    Attributes:
        held: the adapters on each worker.
        free: memory of each worker.
        sums: free memory of the workers that hold each adapter.
        replicas: of each adapter.
    """

    def __init__(self, problem: PlacementProblem, start: Placement | None = None) -> None:
        self.problem = problem
        self.held: list[set[int]] = [set() for _ in problem.memory]
        self.free = list(problem.memory)
        self.sums = [0.0] * len(problem.sizes)
        self.replicas = [0] * len(problem.sizes)
        for worker, adapters in enumerate(start or ()):
            for adapter in sorted(adapters):
                self.put(adapter, worker)

    @property
    def placement(self) -> list[frozenset[int]]:
        return [frozenset(adapters) for adapters in self.held]

    def fits(self, adapter: int, worker: int) -> bool:
        return (
            adapter not in self.held[worker]
            and self.problem.sizes[adapter] <= self.free[worker]
            and self.problem.may_hold(adapter, worker)
        )

    def put(self, adapter: int, worker: int) -> None:
        size = self.problem.sizes[adapter]
        self.free[worker] -= size
        for other in self.held[worker]:
            self.sums[other] -= size
        self.held[worker].add(adapter)
        self.sums[adapter] += self.free[worker]
        self.replicas[adapter] += 1

    def place_all(self, order: Iterable[int]) -> None:
        """Give each adapter, in order, one replica where it leaves the most memory free."""
        for adapter in order:
            fitting = [worker for worker in range(len(self.free)) if self.fits(adapter, worker)]
            if fitting:
                self.put(adapter, max(fitting, key=lambda worker: (self.free[worker], -len(self.held[worker]))))

    def replicate(self) -> None:
        """Add replicas while the burst tolerance does not drop."""
        open_adapters = {adapter for adapter, count in enumerate(self.replicas) if count}
        least = self._least()
        while open_adapters:
            adapter = min(open_adapters, key=lambda each: (self.replicas[each] / self.problem.shares[each], each))
            worker = self._place_for(adapter, least)
            if worker is None:
                open_adapters.discard(adapter)
            else:
                self.put(adapter, worker)
                least = self._least()

    def _least(self) -> float:
        """Return the burst tolerance of the adapters that are placed."""
        placed = (each for each, count in enumerate(self.replicas) if count)
        return min((self.sums[each] / self.problem.shares[each] for each in placed), default=0.0)

    def _place_for(self, adapter: int, least: float) -> int | None:
        """Return a worker where one more replica does not lower the burst tolerance from `least`, or None."""
        fitting = [worker for worker in range(len(self.free)) if self.fits(adapter, worker)]
        for worker in sorted(fitting, key=lambda worker: (len(self.held[worker]), worker))[:COMPARED_WORKERS]:
            size = self.problem.sizes[adapter]
            after = ((self.sums[other] - size) / self.problem.shares[other] for other in self.held[worker])
            own = (self.sums[adapter] + self.free[worker] - size) / self.problem.shares[adapter]
            if own >= least and all(value >= least for value in after):
                return worker
        return None
