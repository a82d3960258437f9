"""Rules by which requests are given to instances.

Each rule takes the traffic and a number of instances, and returns the instance of every request, counted from 0. An
instance works on one request at a time, in order; those that it has not finished yet are its load.
"""

import itertools
from collections.abc import Callable, Mapping
from heapq import heappop, heappush

import numpy as np

from safelight.traces.routing.traffic import Integers, Traffic

DEFAULT_LOAD_BOUND = 1.25

Policy = Callable[[Traffic, int], Integers]


def round_robin(traffic: Traffic, instances: int) -> Integers:
    """Give requests to all instances in turn."""
    return np.arange(len(traffic)) % instances


def least_loaded(traffic: Traffic, instances: int) -> Integers:
    """Give each request to an instance with the least load; among equals, to the one whose load changed longest ago."""
    loads, free_s, last_change = [0] * instances, [0.0] * instances, list(range(instances))
    ranking = [(0, change, change) for change in last_change]
    changes = itertools.count(instances)
    endings: list[tuple[float, int]] = []
    chosen = []
    for now_s, work_s in traffic.requests():
        while endings and endings[0][0] <= now_s:
            ended = heappop(endings)[1]
            loads[ended] -= 1
            last_change[ended] = next(changes)
            heappush(ranking, (loads[ended], last_change[ended], ended))
        while ranking[0][1] != last_change[ranking[0][2]]:
            heappop(ranking)
        instance = heappop(ranking)[2]
        loads[instance] += 1
        last_change[instance] = next(changes)
        heappush(ranking, (loads[instance], last_change[instance], instance))
        free_s[instance] = max(free_s[instance], now_s) + work_s
        heappush(endings, (free_s[instance], instance))
        chosen.append(instance)
    return np.array(chosen, np.int64)


def hash_by_adapter(traffic: Traffic, instances: int) -> Integers:
    """Give all requests of one adapter to one instance."""
    return traffic.keys % instances


def affinity(traffic: Traffic, instances: int, *, bound: float = DEFAULT_LOAD_BOUND) -> Integers:
    """Give all requests of one adapter to one instance, but what would be too much for it to the next that has room.

    No instance gets a request if it would then have more than `bound` times the mean load, rounded up (consistent
    hashing with bounded loads: Mirrokni, Thorup and Zadimoghaddam, SODA 2018).

    Args:
        traffic: the requests.
        instances: how many there are.
        bound: at least 1.
    """
    loads, free_s = [0] * instances, [0.0] * instances
    endings: list[tuple[float, int]] = []
    chosen = []
    for home, (now_s, work_s) in zip(hash_by_adapter(traffic, instances).tolist(), traffic.requests(), strict=True):
        while endings and endings[0][0] <= now_s:
            loads[heappop(endings)[1]] -= 1
        instance, most = home, bound * (len(endings) + 1) / instances
        while loads[instance] >= most:
            instance = (instance + 1) % instances
        loads[instance] += 1
        free_s[instance] = max(free_s[instance], now_s) + work_s
        heappush(endings, (free_s[instance], instance))
        chosen.append(instance)
    return np.array(chosen, np.int64)


POLICIES: Mapping[str, Policy] = {
    "round robin": round_robin,
    "least loaded": least_loaded,
    "hash by adapter": hash_by_adapter,
    "affinity": affinity,
}
