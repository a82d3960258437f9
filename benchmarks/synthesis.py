"""Full-size traces like the services of the Katz trace: how long they take to make, and how far they are off.

Each trace is made by the command line, in a process of its own, and written in the format of the published one. It is
then read with `json.load` and measured by the literal statistics of `tests/traces/literal.py`, which share no code with
Safelight. `cpu_seconds` are those of the process, all threads together, and
hardly depend on what else the machine does.

    python benchmarks/synthesis.py [--seed 1] [--json]
"""

import sys
from pathlib import Path

# This folder's http.py must not stand in for Python's own `http`; the statistics are kept beside the tests.
sys.path = [entry for entry in sys.path if not entry.endswith("benchmarks")]
sys.path.append(str(Path(__file__).parents[1] / "tests"))

import argparse
import json
import resource
import subprocess
import tempfile
import time

from traces import literal
from traces.katz_figures import lru_curves, mean_off, off_pairs, off_popularity, off_sizes, off_slope

KINDS = ("controlnets", "loras")


def measure(service, seed):
    """Make one service's trace and return what there is to say about it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        command = ["trace", "synthesize", "--like", f"katz-{service.lower()}", "--seed", str(seed), "-o", str(path)]
        start, used_s = time.perf_counter(), _children_s()
        subprocess.run([sys.executable, "-m", "safelight", *command], check=True, stderr=subprocess.DEVNULL)
        took_s, used_s = time.perf_counter() - start, _children_s() - used_s
        requests = literal.read(path)
    curves = {kind: lru_curves(requests, service, kind) for kind in KINDS}
    points = literal.distinct(requests, "loras")
    return {
        "service": service,
        "seconds": round(took_s, 1),
        "cpu_seconds": round(used_s, 1),
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


def _children_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    """Print the figures of both services."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    services = [measure(service, arguments.seed) for service in "AB"]
    if arguments.json:
        print(json.dumps(services))
        return
    for name in services[0]:
        print(f"{name:32}", *(f"{json.dumps(facts[name]):>40}" for facts in services))


if __name__ == "__main__":
    main()
