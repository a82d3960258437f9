"""dLoRA's placement: burst-tolerant, and requests move with their adapters when workers are out of balance."""

from dataclasses import dataclass, field
from typing import ClassVar

from safelight.control.placement.burst_tolerance import BurstTolerance
from safelight.control.placement.migration import Migration
from safelight.control.placement.protocol import PlacementPlan, PlacementView, Reads


@dataclass(frozen=True, kw_only=True)
class Dlora:
    """Adapters are placed as by `burst-tolerance`, and requests move from overloaded workers, as in dLoRA.

    (Wu et al., OSDI 2024.)

    Attributes:
        placement: what workers hold.
        migration: which requests move.
    """

    name: ClassVar[str] = "dlora"
    placement: BurstTolerance = field(default_factory=BurstTolerance)
    migration: Migration = field(default_factory=Migration)

    @property
    def period_s(self) -> float | None:
        """As of the placement."""
        return self.placement.period_s

    def reads(self, view: PlacementView) -> Reads:
        """Return what waiting requests need."""
        return self.placement.reads(view)

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Return the placement where it changes, and the moves."""
        return PlacementPlan(holds=self.placement.plan(view).holds, moves=self.migration.moves(view))
