"""Rules by which requests are given to instances.

Each rule takes the traffic and a number of instances, and returns the instance of every request, counted from 0. An
instance works on one request at a time, in order; those that it has not finished yet are its load.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from safelight.traces.routing.traffic import Integers, Traffic

DEFAULT_LOAD_BOUND = 1.25

Policy = Callable[[Traffic, int], Integers]


@dataclass(kw_only=True)
class Fleet:
    """What instances have to do at a moment.

    Attributes:
        loads: unfinished requests of each instance.
        in_flight: unfinished requests of all.
    """

    instances: int
    loads: list[int] = field(init=False)
    in_flight: int = 0
    _free_s: list[float] = field(init=False)
    _endings: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loads = [0] * self.instances
        self._free_s = [0.0] * self.instances

    def advance(self, now_s: float) -> list[int]:
        """Have requests end until `now_s`, and return their instances."""
        ended = []
        while self._endings and self._endings[0][0] <= now_s:
            _, instance = heapq.heappop(self._endings)
            self.loads[instance] -= 1
            ended.append(instance)
        self.in_flight -= len(ended)
        return ended

    def give(self, instance: int, now_s: float, work_s: float) -> None:
        """Have an instance begin a request as soon as it is through with what it has."""
        end_s = max(now_s, self._free_s[instance]) + work_s
        self._free_s[instance] = end_s
        self.loads[instance] += 1
        self.in_flight += 1
        heapq.heappush(self._endings, (end_s, instance))


def round_robin(traffic: Traffic, instances: int) -> Integers:
    """Give requests to all instances in turn."""
    return np.arange(len(traffic)) % instances


def least_loaded(traffic: Traffic, instances: int) -> Integers:
    """Give each request to an instance with the least load; among equals, to the one whose load changed longest ago."""
    fleet = Fleet(instances=instances)
    changes = itertools.count(instances)
    last_change = list(range(instances))
    candidates = [(0, change, change) for change in last_change]
    chosen = []

    def note(instance: int) -> None:
        last_change[instance] = next(changes)
        heapq.heappush(candidates, (fleet.loads[instance], last_change[instance], instance))

    for now_s, work_s in traffic.requests():
        for instance in fleet.advance(now_s):
            note(instance)
        while (top := candidates[0])[1] != last_change[top[2]]:
            heapq.heappop(candidates)
        instance = top[2]
        fleet.give(instance, now_s, work_s)
        note(instance)
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
    fleet = Fleet(instances=instances)
    loads = fleet.loads
    chosen = []
    homes = hash_by_adapter(traffic, instances).tolist()
    for instance, (now_s, work_s) in zip(homes, traffic.requests(), strict=True):
        fleet.advance(now_s)
        most = most_load(fleet.in_flight + 1, instances, bound)
        while loads[instance] >= most:
            instance = (instance + 1) % instances  # noqa: PLW2901
        fleet.give(instance, now_s, work_s)
        chosen.append(instance)
    return np.array(chosen, np.int64)


def most_load(in_flight: int, instances: int, bound: float) -> float:
    """Return how many of the requests in flight one instance may have."""
    share = bound * in_flight / instances
    return math.ceil(share) if math.isfinite(share) else math.inf


POLICIES: Mapping[str, Policy] = {
    "round robin": round_robin,
    "least loaded": least_loaded,
    "hash by adapter": hash_by_adapter,
    "affinity": affinity,
}
