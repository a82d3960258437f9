"""The tuple of placement policies."""

from typing import Final

from safelight.control.placement.burst_tolerance import BurstTolerance
from safelight.control.placement.dlora import Dlora
from safelight.control.placement.no_prefetch import NoPrefetch
from safelight.control.placement.prefetch_waiting import PrefetchWaiting
from safelight.control.placement.protocol import PlacementPolicy
from safelight.control.placement.replicate_hot import ReplicateHot

PLACEMENT_POLICIES: Final[tuple[PlacementPolicy, ...]] = (
    PrefetchWaiting(),
    NoPrefetch(),
    BurstTolerance(),
    Dlora(),
    ReplicateHot(),
)
"""The first one is the default."""
