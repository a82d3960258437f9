"""What is published of the Katz trace, and how far a trace is off it, by literal statistics.

`python -m traces.katz_figures TRACE SERVICE`, run in the tests folder, prints all of them as JSON.
"""

import json
import sys
from pathlib import Path

from safelight.traces.synthesis.katz_template import published
from traces import literal

KINDS = ("controlnets", "loras")

PERCENT_BY_SIZE = {
    ("A", "controlnets"): {1: 30.5, 2: 69.5},
    ("A", "loras"): {0: 0.2, 1: 8.8, 2: 91.0},
    ("B", "controlnets"): {0: 1.9, 1: 25.1, 2: 69.9, 3: 3.1},
    ("B", "loras"): {0: 7.2, 1: 73.6, 2: 19.2},
}
"""Table 1 of the paper."""

CONTROLNET_USES = {
    "A": (278_121, (86457, 70450, 47569, 43956, 22881, 3120, 672, 320, 303, 258, 192, 177, 172, 156, 156, 127)),
    "B": (
        671_224,
        (149146, 90486, 90486, 78219, 71711, 60726, 48769, 44610, 11492, 8580, 8580, 4545, 1644, 490, 490, 482),
    ),
}
"""All uses, and those of the most popular ones."""

ALWAYS_TOGETHER = {
    "A": {("A-controlnet-2", "A-controlnet-3"): 47569, ("A-controlnet-2", "A-controlnet-5"): 22881},
    "B": {("B-controlnet-2", "B-controlnet-3"): 90486, ("B-controlnet-10", "B-controlnet-11"): 8580},
}
"""Pairs of ControlNets that equal numbers of uses, or sums of them, give away."""


def off_sizes(requests, service, kind):
    """By how many points of a percentage the shares of numbers of adapters are off, at most."""
    found, wanted = literal.sizes(requests, kind), PERCENT_BY_SIZE[service, kind]
    return max(abs(100 * found.get(size, 0) - wanted.get(size, 0)) for size in found | wanted)


def off_popularity(requests, service, kind):
    """By how much the curve of popularity, from 0 to 1, is off at the published points, at most."""
    found = literal.cumulative(requests, kind)
    return max(abs(found[min(top, len(found)) - 1] - share) for top, share in _popularity(service, kind))


def _popularity(service, kind):
    if kind == "loras":
        return [(top, percent / 100) for top, percent in published().services[service].loras.cumulative_percent]
    total, uses = CONTROLNET_USES[service]
    return [(top, sum(uses[:top]) / total) for top in range(1, len(uses) + 1)]


def lru_curves(requests, service, kind):
    """Loads per request at each size of the cache, found and published."""
    facts = published().services[service]
    loads = getattr(facts, kind).lru_loads
    in_all = sum(count for count, _ in facts.instances)
    found = [literal.lru_loads(requests, kind, size) / len(requests) for size in literal.CAPACITIES]
    return found, [count / in_all for count in loads]


def mean_off(curves):
    """The mean absolute difference of two curves."""
    return sum(abs(one - other) for one, other in zip(*curves, strict=True)) / len(curves[0])


def off_slope(requests, service):
    """By how much the slope of distinct LoRAs against requests is off, as a share of the published one."""
    wanted = literal.slope(published().services[service].instances)
    return literal.slope(literal.distinct(requests, "loras")) / wanted - 1


def off_pairs(requests, service):
    """By how much the numbers of the known pairs of ControlNets, per request, are off, at most."""
    found = literal.pairs(requests, "controlnets")
    in_all = sum(count for count, _ in published().services[service].instances)
    wanted = ALWAYS_TOGETHER[service]
    return max(abs(found[pair] / len(requests) - count / in_all) for pair, count in wanted.items())


def statistics(requests, service):
    """All of them, rounded."""
    curves = {kind: lru_curves(requests, service, kind) for kind in KINDS}
    points = literal.distinct(requests, "loras")
    return {
        "requests": len(requests),
        "instances": len(points),
        "distinct_controlnets": len(literal.cumulative(requests, "controlnets")),
        "distinct_loras": len(literal.cumulative(requests, "loras")),
        "first_lora_loads": sum(loras for _, loras in points),
        "sizes_off_points": {kind: round(off_sizes(requests, service, kind), 3) for kind in KINDS},
        "popularity_off": {kind: round(off_popularity(requests, service, kind), 5) for kind in KINDS},
        "lru_mean_off": {kind: round(mean_off(curves[kind]), 5) for kind in KINDS},
        "lru_loads_per_request": {kind: [round(loads, 4) for loads in curves[kind][0]] for kind in KINDS},
        "lru_loads_per_request_published": {kind: [round(loads, 4) for loads in curves[kind][1]] for kind in KINDS},
        "distinct_slope_off": round(off_slope(requests, service), 5),
        "pairs_off": round(off_pairs(requests, service), 6),
    }


if __name__ == "__main__":
    trace, of_service = sys.argv[1:]
    print(json.dumps(statistics(literal.read(Path(trace)), of_service)))
