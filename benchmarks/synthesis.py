"""Full-size traces like the services of the Katz trace: how long they take to make, and how far they are off.

Each trace is made by the command line, in a process of its own, and written in the format of the published one. It is
then read with `json.load` and measured by the literal statistics of `tests/traces/literal.py`, which share no code with
Safelight. `cpu_seconds` are those of the process, all threads together, and
hardly depend on what else the machine does.

    python benchmarks/synthesis.py [--seed 1] [--json]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
"""The statistics are a program there."""


def measure(service, seed):
    """Make one service's trace and return what there is to say about it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        command = ["trace", "synthesize", "--like", f"katz-{service.lower()}", "--seed", str(seed), "-o", str(path)]
        start, used_s = time.perf_counter(), _children_s()
        subprocess.run([sys.executable, "-m", "safelight", *command], check=True, stderr=subprocess.DEVNULL)
        took_s, used_s = time.perf_counter() - start, _children_s() - used_s
        statistics = [sys.executable, "-m", "traces.katz_figures", str(path), service]
        found = subprocess.run(statistics, cwd=TESTS, check=True, stdout=subprocess.PIPE).stdout
    return {
        "service": service,
        "seconds": round(took_s, 1),
        "cpu_seconds": round(used_s, 1),
        **json.loads(found),
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
