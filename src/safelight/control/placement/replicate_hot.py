"""Hot compositions are held by several workers, in proportion to their demand."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Final

from safelight.control.placement.burst_tolerance import PERIOD_S
from safelight.control.placement.capacity import FREE_SHARE, capacity_of
from safelight.control.placement.prefetch_waiting import PrefetchWaiting
from safelight.control.placement.protocol import PlacementPlan, PlacementView, Reads
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle

LEAST_SHARE: Final = 0.02
MOST_COMPOSITIONS: Final = 64


@dataclass(frozen=True, kw_only=True)
class ReplicateHot:
    """All adapters of a hot composition are held together, by so many workers as its share of the demand asks for.

    A composition with a share `s` of the requests is on `ceil(s * workers)` of the workers that serve it, on those
    that have the least of the demand so far.

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
        counts = view.demand.counts(view.now)
        total = sum(counts.values()) or 1.0
        hot = sorted(
            (
                (count / total, adapters)
                for adapters, count in counts.items()
                if adapters and count >= self.least_share * total and all(handle in specs for handle in adapters)
            ),
            key=lambda each: (-each[0], each[1]),
        )
        held: dict[WorkerState, dict[AdapterHandle, None]] = {worker: {} for worker in view.workers.responsive}
        demand = dict.fromkeys(held, 0.0)
        capacities = {worker: capacity_of(worker, free_share=self.free_share) for worker in held}
        for share, adapters in hot[: self.compositions]:
            models = {specs[handle].model for handle in adapters}
            serving = [worker for worker in held if all(worker.serves(model) for model in models)]
            replicas = math.ceil(share * len(serving))
            for worker in sorted(serving, key=lambda worker: (demand[worker], worker.number)):
                together = dict.fromkeys([*held[worker], *adapters])
                if replicas and capacities[worker].holds([specs[handle] for handle in together]):
                    held[worker] = together
                    demand[worker] += share / math.ceil(share * len(serving))
                    replicas -= 1
        return PlacementPlan(
            holds={worker.name: tuple(handles) for worker, handles in held.items() if tuple(handles) != worker.placed}
        )
