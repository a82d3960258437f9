"""A routing policy over the requests of a trace."""

import numpy as np

from safelight.control.routing.protocol import RoutingPolicy
from safelight.simulator.trace_routing.fleet import PLACES, SimulatedFleet
from safelight.simulator.trace_routing.traffic import Integers, Traffic


def replay(policy: RoutingPolicy, traffic: Traffic, instances: int, *, places: int = PLACES) -> Integers:
    """Return the instance, counted from 0, that `policy` sends each request to.

    Raises:
        RequestNotRouted: if it sends one nowhere.
    """
    arrivals = zip(traffic.routed, traffic.arrivals_s.tolist(), traffic.work_s.tolist(), strict=True)
    workers = SimulatedFleet(instances, places=places).route(policy, arrivals)
    return np.fromiter((worker.number for worker in workers), np.int64, len(traffic))
