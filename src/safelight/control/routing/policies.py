"""The tuple of routing policies."""

from typing import Final

from safelight.control.routing.affinity import Affinity
from safelight.control.routing.dlora_dispatch import DloraDispatch
from safelight.control.routing.hash_by_adapter import HashByAdapter
from safelight.control.routing.least_loaded import LeastLoaded
from safelight.control.routing.least_work import LeastWork
from safelight.control.routing.power_of_two import PowerOfTwo
from safelight.control.routing.protocol import RoutingPolicy
from safelight.control.routing.random import Random
from safelight.control.routing.round_robin import RoundRobin
from safelight.control.routing.soonest_finish import SoonestFinish

ROUTING_POLICIES: Final[tuple[RoutingPolicy, ...]] = (
    SoonestFinish(),
    RoundRobin(),
    Random(),
    LeastLoaded(),
    LeastWork(),
    PowerOfTwo(),
    HashByAdapter(),
    Affinity(),
    DloraDispatch(),
)
"""The first one is the default."""
