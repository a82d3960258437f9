"""The tuple of routing policies."""

from typing import Final

from safelight.control.routing.affinity import Affinity
from safelight.control.routing.hash_by_adapter import HashByAdapter
from safelight.control.routing.least_loaded import LeastLoaded
from safelight.control.routing.protocol import RoutingPolicy
from safelight.control.routing.round_robin import RoundRobin
from safelight.control.routing.soonest_finish import SoonestFinish

ROUTING_POLICIES: Final[tuple[RoutingPolicy, ...]] = (
    SoonestFinish(),
    RoundRobin(),
    LeastLoaded(),
    HashByAdapter(),
    Affinity(),
)
"""The first one is the default."""
