"""When requests are due."""

from collections.abc import Sequence

import msgspec
import numpy as np

from safelight.bench.errors import BadLoad
from safelight.bench.requests import Ask
from safelight.core.errors import nearest, shorten
from safelight.traces.arrivals.bursty import Bursty
from safelight.traces.arrivals.process import ArrivalProcess, first
from safelight.traces.arrivals.renewal import Constant, Gamma, Poisson

TRACE = "trace"
ARRIVALS = ("constant", "poisson", "gamma", "bursty", TRACE)
BURSTINESS = 0.25
"""Of gamma arrivals where none is told: twice the variation of Poisson's."""


def process_named(name: str, *, burstiness: float = BURSTINESS) -> ArrivalProcess:
    """Return an arrival process; raises BadLoad, BadArrivals.

    Args:
        name: one of `ARRIVALS`, but for the trace's own.
        burstiness: shape of gamma arrivals, as in `vllm bench serve`: 1 is Poisson, less comes in bursts.
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


def at_rate(asks: Sequence[Ask], process: ArrivalProcess, rate: float, *, rng: np.random.Generator) -> Sequence[Ask]:
    """Return requests that arrive by a process, the first one at once; at an infinite rate, all of them are."""
    if rate == np.inf:
        return [msgspec.structs.replace(ask, due_s=0.0) for ask in asks]
    times_s = first(process, len(asks), rate=rate, rng=rng)
    times_s -= times_s[0] if len(times_s) else 0.0
    return [msgspec.structs.replace(ask, due_s=due_s) for ask, due_s in zip(asks, times_s.tolist(), strict=True)]


def faster(asks: Sequence[Ask], speed: float) -> Sequence[Ask]:
    """Return requests at the times of their trace, passing `speed` times as fast; raises BadLoad."""
    if not 0 < speed < np.inf:
        raise BadLoad(f"--speed is {speed}; it must be a positive number.")
    return [msgspec.structs.replace(ask, due_s=ask.due_s / speed) for ask in asks]
