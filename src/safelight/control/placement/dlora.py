"""dLoRA's placement: burst-tolerant, and requests move with their adapters when workers are out of balance."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from safelight.control.placement.burst_tolerance import BurstTolerance
from safelight.control.placement.migration import Migration
from safelight.control.placement.protocol import PlacementPlan, PlacementView, Reads

PERIOD_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Dlora:
    """Adapters are placed as by `burst-tolerance`, and requests move from overloaded workers, as in dLoRA.

    (Wu et al., OSDI 2024.)

    Attributes:
        period_s: between two looks at the balance.
        placement: what workers hold; it is planned anew in its own period, and when a worker holds nothing.
        migration: which requests move.
    """

    name: ClassVar[str] = "dlora"
    period_s: float | None = PERIOD_S
    placement: BurstTolerance = field(default_factory=BurstTolerance)
    migration: Migration = field(default_factory=Migration)

    def reads(self, view: PlacementView) -> Reads:
        """Return what waiting requests need."""
        return self.placement.reads(view)

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Return the placement where it changes, and the moves."""
        holds = self.placement.plan(view).holds if self._places(view) else {}
        return PlacementPlan(holds=holds, moves=self.migration.moves(view))

    def _places(self, view: PlacementView) -> bool:
        """Whether this is the first plan in a period of the placement, or some worker holds nothing."""
        periods = (self.period_s, self.placement.period_s)
        is_first = None in periods or view.now % (periods[1] or 1.0) < (periods[0] or 0.0)
        return is_first or any(not worker.placed for worker in view.workers.responsive)
