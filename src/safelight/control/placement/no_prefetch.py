"""Workers read nothing ahead."""

from dataclasses import dataclass
from typing import ClassVar

from safelight.control.placement.protocol import NO_CHANGE, PlacementPlan, PlacementView, Reads


@dataclass(frozen=True, kw_only=True)
class NoPrefetch:
    """Workers read adapters only when they get a request that needs them."""

    name: ClassVar[str] = "no-prefetch"
    period_s: ClassVar[float | None] = None

    def reads(self, view: PlacementView) -> Reads:
        """Return nothing."""
        return ()

    def plan(self, view: PlacementView) -> PlacementPlan:
        """Change nothing."""
        return NO_CHANGE
