"""How fast `safelight bench` can send, and what that costs, against the null server on this machine.

    python benchmarks/bench_client.py --json

- `max_rate`: the highest open-loop rate, of Poisson arrivals, at which the 99th percentile of the send lag stays at or
  below 5 ms; rates are tried in steps of a tenth.
- `lag_p99_ms`: the send lag's 99th percentile at that rate.
- `cpu_s_per_1000`: processor seconds of the client for 1,000 requests at that rate.
- `peak_mb`: the most memory of the client's process for `--requests` requests at four fifths of that rate, of which
  the interpreter and the packages that it loads take a part (`base_mb`); `long_sent_qps` is the rate at which they
  were sent, and `long_lag_p99_ms` their send lag. `peak_with_figures_mb` is the most when the figures of
  `--output-file` have been made as well, intervals among them.
- The same with `_checked`, with every picture opened.
- The same with `_peer`: a plain client, written as such benchmarks are: one session, one task for each request, all
  made up front, each of which sleeps until its time; the clock starts half a second after that. Its answers are read
  as JSON and no more, on asyncio's own loop.
- `load_average`: of the machine when it began; other work makes all figures worse.

The kinds are measured one after the other, each load in a process of its own. A rate is tried up to `--tries` times
until it is held; its figures are those of the first try that held it. Memory, `long_sent_qps` and `long_lag_p99_ms`
are of one load each.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import numpy as np

from safelight.bench.client.event_loop import loop_factory
from safelight.bench.client.http_client import ServerConfig
from safelight.bench.endpoints.endpoint import RequestOptions
from safelight.bench.endpoints.generations import Generations
from safelight.bench.load.arrivals import arrival_process, arrive_at_rate
from safelight.bench.load.runner import run
from safelight.bench.media.shape import Shape
from safelight.bench.requests import LoadRequest
from safelight.bench.run import RunConfig
from safelight.bench.stats.metrics import compute_metrics

LAG_S = 0.005
KINDS = ("", "_checked", "_peer")
SECONDS = 4.0
RATES = (200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2000, 2200, 2400, 2700, 3000, 3300, 3600, 4000)
RATES += (4500, 5000, 5500, 6000, 6600, 7200, 8000)


@contextmanager
def null_server() -> Iterator[str]:
    """A null server in a process of its own; gives its address."""
    argv = [sys.executable, "-m", "safelight", "bench", "null-server", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)


def requests_of(count: int, rate: float):
    """Return requests that arrive by a Poisson process."""
    shape = Shape(64, 64, None, 4)
    requests = [LoadRequest(request_id=str(number), prompt=f"prompt {number}", shape=shape) for number in range(count)]
    process = arrival_process("poisson")
    return arrive_at_rate(requests, process, rate, rng=np.random.default_rng(0))


def load(url: str, kind: str, rate: float, count: int) -> dict[str, float]:
    """Send requests and return the figures, of this process."""
    base_mb, done = peak_mb(), None
    requests = requests_of(count, rate)
    began_s = time.process_time()
    if kind == "_peer":
        sent_s, failed = asyncio.run(peer(url, requests))
    else:
        done = ours(url, requests, is_checked=kind == "_checked")
        sent_s = np.array([record.sent_s for record in done.records])
        failed = sum(not record.is_success for record in done.records)
    cpu_s = time.process_time() - began_s
    metrics = {
        "lag_p99_s": float(np.quantile(sent_s - np.array([request.due_s for request in requests]), 0.99)),
        "sent_qps": (count - 1) / float(sent_s.max() - sent_s.min()),
        "cpu_s_per_1000": 1000 * cpu_s / count,
        "peak_mb": peak_mb(),
        "base_mb": base_mb,
        "failed": failed,
    }
    if done is not None:
        compute_metrics(done)
        metrics["peak_with_figures_mb"] = peak_mb()
    return metrics


def ours(url: str, requests, *, is_checked: bool):
    """Send with `safelight bench`'s own machinery; returns the run."""
    config = RunConfig(
        server=ServerConfig(url=url),
        endpoint=Generations(),
        options=RequestOptions(model="null"),
        requests=requests,
        warm_up_rounds=1,
        checks_pictures=is_checked,
    )
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(run(config))


async def peer(url: str, requests):
    """Send with a task for each request, all made up front."""
    sent_s, failed, ready = np.empty(len(requests)), 0, asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began_s = 0.0

        async def send(number, request) -> None:
            nonlocal failed
            await ready.wait()
            await asyncio.sleep(began_s + request.due_s - time.monotonic())
            sent_s[number] = time.monotonic() - began_s
            body = {"model": "null", "prompt": request.prompt, "size": "64x64", "response_format": "b64_json"}
            async with session.post(f"{url}/v1/images/generations", json=body) as answer:
                failed += answer.status != 200
                await answer.json()

        tasks = [asyncio.create_task(send(*each)) for each in enumerate(requests)]
        began_s = time.monotonic() + 0.5
        ready.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    return sent_s, failed + sum(isinstance(end, Exception) for end in ends)


def peak_mb() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(url: str, kind: str, rate: float, count: int) -> dict[str, float]:
    """Run `load` in a process of its own."""
    argv = [sys.executable, __file__, "--one", url, kind or "plain", str(rate), str(count)]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)


def best(url: str, kind: str, rate: float, count: int, tries: int) -> dict[str, float]:
    """Return the first try that is on time, else the one with the least lag."""
    found = []
    for _ in range(tries):
        found.append(apart(url, kind, rate, count))
        if found[-1]["lag_p99_s"] <= LAG_S and not found[-1]["failed"]:
            break
    return min(found, key=lambda metrics: (metrics["failed"] > 0, metrics["lag_p99_s"]))


def highest(url: str, kind: str, tries: int) -> dict[str, float]:
    """Return the highest rate that is sent on time, by bisection of `RATES`, and its figures."""
    low, high, kept = 0, len(RATES), {}
    while low < high:
        middle = (low + high) // 2
        rate = RATES[middle]
        metrics = best(url, kind, rate, int(rate * SECONDS), tries)
        is_held = metrics["lag_p99_s"] <= LAG_S and not metrics["failed"]
        note(f"{kind or 'unchecked':>10} {rate:>5}/s: lag p99 {1000 * metrics['lag_p99_s']:.2f} ms" + " *" * is_held)
        if is_held:
            low, kept = middle + 1, metrics | {"rate": rate}
        else:
            high = middle
    return kept


def measure(arguments: argparse.Namespace) -> dict[str, float | int | None]:
    """Run all and return the figures."""
    found: dict[str, float | int | None] = {"load_average": round(os.getloadavg()[0], 2)}
    with null_server() as url:
        for kind in KINDS:
            held = highest(url, kind, arguments.tries)
            found[f"max_rate{kind}"] = held.get("rate")
            found[f"lag_p99_ms{kind}"] = round(1000 * held["lag_p99_s"], 3) if held else None
            found[f"cpu_s_per_1000{kind}"] = round(held["cpu_s_per_1000"], 4) if held else None
        for kind in KINDS:
            rate = (found[f"max_rate{kind}"] or RATES[0]) * 0.8
            note(f"{kind or 'unchecked':>10} {arguments.requests:,} requests at {rate:g}/s ...")
            metrics = apart(url, kind, rate, arguments.requests)
            found[f"long_sent_qps{kind}"] = round(metrics["sent_qps"], 1)
            found[f"long_lag_p99_ms{kind}"] = round(1000 * metrics["lag_p99_s"], 3)
            found[f"peak_mb{kind}"] = round(metrics["peak_mb"], 1)
            found[f"base_mb{kind}"] = round(metrics["base_mb"], 1)
            if "peak_with_figures_mb" in metrics:
                found[f"peak_with_figures_mb{kind}"] = round(metrics["peak_with_figures_mb"], 1)
    return found


def note(text: str) -> None:
    """Tell a person how far it is."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--requests", type=int, default=100_000, help="for the figure of memory")
    parser.add_argument("--tries", type=int, default=3, help="of each rate, before it counts as too high")
    parser.add_argument("--one", nargs=4, metavar="WORD", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        url, kind, rate, count = arguments.one
        print(json.dumps(load(url, "" if kind == "plain" else kind, float(rate), int(count))))
        return
    metrics = measure(arguments)
    if arguments.json:
        print(json.dumps(metrics))
        return
    for name, value in metrics.items():
        print(f"{name:>24}  {value}")


if __name__ == "__main__":
    main()
