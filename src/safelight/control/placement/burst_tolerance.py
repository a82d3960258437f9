"""Adapters are placed so that a burst of any of them finds memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import ClassVar, Final

from safelight.adapters.capacity import slots_of
from safelight.control.placement.capacity import FREE_SHARE, capacity_of, fitting
from safelight.control.placement.prefetch_waiting import PrefetchWaiting
from safelight.control.placement.protocol import PlacementPlan, PlacementView, Reads
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle, AdapterKind, AdapterSpec
from safelight.planner.burst_tolerance import (
    Placement,
    PlacementProblem,
    burst_tolerance,
    burst_tolerant_placement,
)

PERIOD_S: Final = 60.0
MOST_ADAPTERS: Final = 128
MOST_WORKERS: Final = 32
KEPT_SHARE: Final = 0.8
KINDS: Final[tuple[AdapterKind, ...]] = ("lora", "controlnet")


@dataclass(frozen=True, kw_only=True)
class BurstTolerance:
    """Adapters are placed so that the least burst tolerance of any is high, as in dLoRA; more workers for popular ones.

    The expected share of an adapter is 1 and its recent requests (Wu et al., OSDI 2024). Memory is that of the device
    for adapters. Workers keep what they hold while its burst tolerance is at least `kept_share` of that of a new plan.

    Attributes:
        period_s: between two plans.
        adapters: how many adapters are placed at most: the most popular ones.
        workers: how many workers are planned for: those that joined first. Later ones hold what these do, in turn.
        free_share: of a device's memory for adapters that nothing is placed in.
        kept_share: see above.
        ahead: what is read ahead.
    """

    name: ClassVar[str] = "burst-tolerance"
    period_s: float | None = PERIOD_S
    adapters: int = MOST_ADAPTERS
    workers: int = MOST_WORKERS
    free_share: float = FREE_SHARE
    kept_share: float = KEPT_SHARE
    ahead: PrefetchWaiting = field(default_factory=PrefetchWaiting)

    def reads(self, view: PlacementView) -> Reads:
        """Return what waiting requests need."""
        return self.ahead.reads(view)

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Return the placement, where it changes enough."""
        workers = view.workers.responsive
        shares = self._shares(view)
        held: dict[WorkerState, list[AdapterHandle]] = {worker: [] for worker in workers}
        is_better = False
        for kind in KINDS:
            handles = [handle for handle in shares if shares[handle][0].kind == kind]
            if not handles:
                continue
            first = workers[: self.workers]
            problem = self._problem(handles, shares, first, kind)
            placement = burst_tolerant_placement(problem)
            before = [frozenset(n for n, handle in enumerate(handles) if handle in worker.placed) for worker in first]
            is_better = is_better or not self._is_good(problem, before, placement)
            for worker, numbers in zip(workers, cycle(placement), strict=False):
                wanted = [handles[number] for number in sorted(numbers)]
                held[worker] += [handle for handle in wanted if worker.serves(shares[handle][0].model)]
        specs = {handle: spec for handle, (spec, _) in shares.items()}
        holds = {
            worker: fitting(handles, specs, capacity_of(worker, free_share=self.free_share))
            for worker, handles in held.items()
            if is_better or not worker.placed or not specs.keys() >= set(worker.placed)
        }
        return PlacementPlan(
            holds={worker.name: handles for worker, handles in holds.items() if set(handles) != set(worker.placed)}
        )

    def _shares(self, view: PlacementView) -> Mapping[AdapterHandle, tuple[AdapterSpec, float]]:
        """Return the most popular adapters with their expected shares, the most popular first."""
        counts = view.demand.by_adapter(view.now)
        known = {each.handle: (each.spec, 1.0 + counts.get(each.handle, 0.0)) for each in view.adapters.registered}
        popular = sorted(known, key=lambda handle: (-known[handle][1], handle))[: self.adapters]
        return {handle: known[handle] for handle in popular}

    def _problem(
        self,
        handles: Sequence[AdapterHandle],
        shares: Mapping[AdapterHandle, tuple[AdapterSpec, float]],
        workers: Sequence[WorkerState],
        kind: AdapterKind,
    ) -> PlacementProblem:
        serving = {
            model: frozenset(number for number, worker in enumerate(workers) if worker.serves(model))
            for model in {shares[handle][0].model for handle in handles}
        }
        return PlacementProblem(
            sizes=[max(1, slots_of(shares[handle][0])) for handle in handles],
            shares=[shares[handle][1] for handle in handles],
            memory=[capacity_of(worker, free_share=self.free_share).slots(kind) for worker in workers],
            allowed=[serving[shares[handle][0].model] for handle in handles],
        )

    def _is_good(self, problem: PlacementProblem, before: Placement, after: Placement) -> bool:
        """Whether an earlier placement is about as good as a new one."""
        covers = [sum(problem.shares[each] for each in frozenset().union(*held)) for held in (before, after)]
        tolerances = [burst_tolerance(problem, placement) for placement in (before, after)]
        return covers[0] >= self.kept_share * covers[1] and tolerances[0] >= self.kept_share * tolerances[1]
