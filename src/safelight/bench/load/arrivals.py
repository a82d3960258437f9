"""Assigns due times to requests."""

from collections.abc import Sequence

import msgspec
import numpy as np

from safelight.bench.errors import BadLoad
from safelight.bench.requests import LoadRequest
from safelight.core.errors import nearest, shorten
from safelight.traces.arrivals.bursty import Bursty
from safelight.traces.arrivals.process import ArrivalProcess, first
from safelight.traces.arrivals.renewal import Constant, Gamma, Poisson

TRACE = "trace"
ARRIVALS = ("constant", "poisson", "gamma", "bursty", TRACE)
BURSTINESS = 0.25
"""The default shape of gamma arrivals: a coefficient of variation of 2."""


def arrival_process(name: str, *, burstiness: float = BURSTINESS) -> ArrivalProcess:
    """Return an arrival process; raises BadLoad, BadArrivals.

    Args:
        name: one of `ARRIVALS` except `TRACE`.
        burstiness: shape of gamma arrivals, as in `vllm bench serve`: 1 is Poisson, smaller values are burstier.
    """
    match name:
        case "constant":
            return Constant()
        case "poisson":
            return Poisson()
        case "gamma":
            if not 0 < burstiness < np.inf:
                raise BadLoad(f"--burstiness is {burstiness}; it must be positive: 1 is poisson, less comes in bursts.")
            return Gamma(cv=burstiness**-0.5)
        case "bursty":
            return Bursty()
    raise BadLoad(f"No arrival process is {shorten(name)}; {nearest(name, ARRIVALS)}")


def arrive_at_rate(
    requests: Sequence[LoadRequest], process: ArrivalProcess, rate: float, *, rng: np.random.Generator
) -> Sequence[LoadRequest]:
    """Return requests whose due times follow a process from 0 on; at an infinite rate, all are due at 0."""
    if rate == np.inf:
        return [msgspec.structs.replace(request, due_s=0.0) for request in requests]
    times_s = first(process, len(requests), rate=rate, rng=rng)
    times_s -= times_s[0] if len(times_s) else 0.0
    return [
        msgspec.structs.replace(request, due_s=due_s) for request, due_s in zip(requests, times_s.tolist(), strict=True)
    ]


def replay_at_speed(requests: Sequence[LoadRequest], speed: float) -> Sequence[LoadRequest]:
    """Return requests whose due times are divided by `speed`; raises BadLoad."""
    if not 0 < speed < np.inf:
        raise BadLoad(f"--speed is {speed}; it must be a positive number.")
    return [msgspec.structs.replace(request, due_s=request.due_s / speed) for request in requests]
