"""What a routing of requests costs: loads, waits, and imbalance between instances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from safelight.control.routing.affinity import DEFAULT_BOUND
from safelight.simulator.trace_routing.queueing import waits_of
from safelight.simulator.trace_routing.traffic import Floats, Integers, Traffic
from safelight.traces.caches.policy import LRU, Capacities, hits_of
from safelight.traces.caches.stream import stream_of
from safelight.traces.caches.tiers import LOAD_TIMES
from safelight.traces.schema import AdapterColumn
from safelight.traces.usage import Coded, Usage

KINDS: Mapping[AdapterColumn, str] = {"controlnets": "controlnet", "loras": "lora"}
FAR_S: Mapping[AdapterColumn, float] = {kind: times.far_s for kind, times in LOAD_TIMES.items()}


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What is simulated, and with which costs.

    Attributes:
        instances: numbers of instances; if empty, the number that was recorded, and halves of it.
        size: how many adapters an instance's cache for ControlNets holds, and its cache for LoRAs.
        work_s: seconds of work, without loads, of a request whose duration is not recorded. An SDXL picture of 50 steps
            with one or two ControlNets takes about 5 on an H800 (from the run logs published with Katz, USENIX ATC
            2025).
        bound: of `Affinity`.
        load_s: seconds to load one adapter.
    """

    instances: Sequence[int] = ()
    size: int = 10
    work_s: float = 5.0
    bound: float = DEFAULT_BOUND
    load_s: Mapping[AdapterColumn, float] = field(default_factory=lambda: FAR_S)


def measure(
    usage: Usage, traffic: Traffic, chosen: Integers, instances: int, what_if: WhatIf
) -> dict[str, str | int | float | None]:
    """Return the simulated costs of sending each request to its instance in `chosen`.

    An instance works on one request at a time, in order: it loads what its LRU caches lack, and then does the work.
    """
    requests = len(traffic)
    routed = replace(usage, instances=Coded(codes=chosen.astype(np.uint32), names=list(map(str, range(instances)))))
    load_s = np.zeros(requests)
    loads: dict[str, float | None] = {}
    for kind, name in KINDS.items():
        missing = _missing(routed, kind, what_if.size)
        uses = len(usage.lists(kind).ids.codes)
        loads[f"{name}_loads_per_request"] = missing.sum() / requests
        loads[f"{name}_hit_ratio"] = 1 - missing.sum() / uses if uses else None
        load_s += missing * what_if.load_s[kind]
    waits = waits_of(traffic, chosen, work_s=traffic.work_s + load_s)
    return {
        "origin": "simulated",
        "instances": instances,
        "imbalance": float(np.bincount(chosen).max()) * instances / requests,
        **loads,
        "load_s_per_request": float(load_s.mean()),
        "wait_s_per_request": float(waits.mean()),
        "p99_wait_s": float(np.quantile(waits, 0.99)),
    }


def _missing(usage: Usage, kind: AdapterColumn, size: int) -> Floats:
    """Return how many adapters of a kind each request loads."""
    stream = stream_of(usage, kind)
    hits = hits_of(LRU, stream, Capacities(sizes=[size]))[0]
    return np.bincount(stream.requests[~hits], minlength=usage.requests).astype(np.float64)
