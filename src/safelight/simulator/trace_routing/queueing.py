"""How long requests wait at their instances."""

import numpy as np

from safelight.simulator.trace_routing.traffic import Floats, Integers, Traffic


def waits_of(traffic: Traffic, chosen: Integers, *, work_s: Floats | None = None) -> Floats:
    """Return how many seconds each request waits for the requests that its instance got before.

    An instance starts a request when it has finished all earlier ones (Lindley's recursion, here as a running maximum).

    Args:
        traffic: the requests.
        chosen: the instance of each.
        work_s: of each, if other than in `traffic`.
    """
    work = traffic.work_s if work_s is None else work_s
    order = np.argsort(chosen, kind="stable")
    ends = np.flatnonzero(np.diff(chosen[order])) + 1
    waits = np.empty(len(traffic))
    for own in np.split(order, ends):
        before = np.cumsum(work[own]) - work[own]
        waits[own] = np.maximum.accumulate(traffic.arrivals_s[own] - before) + before - traffic.arrivals_s[own]
    return waits
