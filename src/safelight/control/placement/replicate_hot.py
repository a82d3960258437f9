"""Hot compositions are held by several workers, in proportion to their demand."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from safelight.control.placement.burst_tolerance import PERIOD_S
from safelight.control.placement.capacity import FREE_SHARE, capacity_of
from safelight.control.placement.prefetch_waiting import PrefetchWaiting
from safelight.control.placement.protocol import PlacementPlan, PlacementView, Reads
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle, AdapterSpec

LEAST_SHARE: Final = 0.02
KEPT_SHARE: Final = 0.5
MOST_COMPOSITIONS: Final = 64


@dataclass(frozen=True, kw_only=True)
class ReplicateHot:
    """All adapters of a hot composition are held together, by so many workers as its share of the demand asks for.

    A composition with a share `s` of the requests is on `ceil(s * workers)` of the workers that serve it, on those
    that hold it already, and then on those that have the least of the demand so far. It stays hot down to half of
    `least_share`.

    Attributes:
        period_s: between two plans.
        least_share: of all requests lately, that makes a composition hot.
        compositions: how many are hot at most.
        free_share: of a device's memory for adapters that nothing is placed in.
        ahead: what is read ahead.
    """

    name: ClassVar[str] = "replicate-hot"
    period_s: float | None = PERIOD_S
    least_share: float = LEAST_SHARE
    compositions: int = MOST_COMPOSITIONS
    free_share: float = FREE_SHARE
    ahead: PrefetchWaiting = field(default_factory=PrefetchWaiting)

    def reads(self, view: PlacementView) -> Reads:
        """Return what waiting requests need."""
        return self.ahead.reads(view)

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Return what each worker holds, where that changes."""
        specs = {each.handle: each.spec for each in view.adapters.registered}
        held: dict[WorkerState, dict[AdapterHandle, None]] = {worker: {} for worker in view.workers.responsive}
        demand = dict.fromkeys(held, 0.0)
        capacities = {worker: capacity_of(worker, free_share=self.free_share) for worker in held}
        for share, adapters in self._hot(view, specs):
            models = {specs[handle].model for handle in adapters}
            serving = [worker for worker in held if all(worker.serves(model) for model in models)]
            wanted = math.ceil(share * len(serving))
            replicas = 0
            for worker in _in_turn(serving, adapters, demand):
                together = dict.fromkeys([*held[worker], *adapters])
                if replicas < wanted and capacities[worker].holds([specs[handle] for handle in together]):
                    held[worker] = together
                    demand[worker] += share / wanted
                    replicas += 1
        changed = {worker: handles for worker, handles in held.items() if handles.keys() != set(worker.placed)}
        return PlacementPlan(holds={worker.name: tuple(handles) for worker, handles in changed.items()})

    def _hot(
        self, view: PlacementView, specs: Mapping[AdapterHandle, AdapterSpec]
    ) -> Sequence[tuple[float, tuple[AdapterHandle, ...]]]:
        """Return the hot compositions with their shares of the requests, the hottest first."""
        counts = view.demand.counts(view.now)
        total = sum(counts.values())
        in_place = {handle for worker in view.workers for handle in worker.placed}
        hot = []
        for adapters, count in counts.items():
            least = self.least_share * total * (KEPT_SHARE if in_place.issuperset(adapters) else 1.0)
            if adapters and count >= least and all(handle in specs for handle in adapters):
                hot.append((count / total, adapters))
        return sorted(hot, key=lambda each: (-each[0], each[1]))[: self.compositions]


def _in_turn(
    workers: Sequence[WorkerState], adapters: tuple[AdapterHandle, ...], demand: Mapping[WorkerState, float]
) -> Sequence[WorkerState]:
    """Return the workers that hold these adapters, then the others, both by demand."""
    lacks = {worker: not set(worker.placed).issuperset(adapters) for worker in workers}
    return sorted(workers, key=lambda worker: (lacks[worker], demand[worker], worker.number))
