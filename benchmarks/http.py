"""What HTTP, control and worker messages add to the engine's own time, with an engine that paints nothing.

One server process with one worker process on loopback; the client keeps its connections.

- `added_p50_ms`: one request at a time; latency less the seconds that the engine itself took for it. The engine sleeps
  a millisecond a step, so that steps, their messages and previews are as many as for a real picture.
- `null_requests_per_s`: requests at once, with an engine that takes no time at all.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

SERVED = Path(__file__).parents[1] / "tests" / "fakes" / "served.py"
BODY = json.dumps({"prompt": "a large red circle on a white background", "seed": 1}).encode()
REQUEST = (
    "POST /v1/images/generations HTTP/1.1\r\nHost: {host}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)
WARM_UP = 20
STEP_S = 0.001


@dataclass
class Sample:
    """Seconds of one load: each request's latency and what the engine says it took."""

    latencies_s: list[float] = field(default_factory=list)
    computes_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def added_ms(self) -> list[float]:
        """Milliseconds that each request took beyond the engine's own."""
        pairs = zip(self.latencies_s, self.computes_s, strict=True)
        return sorted(1000 * (latency_s - compute_s) for latency_s, compute_s in pairs)


class Client:
    """One kept connection, over a bare socket: no client library whose own time would count."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname == "127.0.0.1", "loopback only"
        assert address.port is not None
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._request = REQUEST.format(host=address.netloc, length=len(BODY)).encode() + BODY

    def paint(self) -> tuple[float, float]:
        """Ask for one picture; returns the latency and the engine's own seconds."""
        began_s = time.perf_counter()
        self._socket.sendall(self._request)
        status = self._answers.readline()
        headers = dict(iter(self._header, None))
        content = self._answers.read(int(headers[b"content-length"]))
        latency_s = time.perf_counter() - began_s
        if not status.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"The server answered {status!r}: {content[:500]!r}")
        return latency_s, json.loads(content)["safelight"]["compute_s"]

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._socket.close()

    def _header(self) -> tuple[bytes, bytes] | None:
        name, _, value = self._answers.readline().strip().partition(b": ")
        return (name.lower(), value) if name else None


@contextmanager
def served(step_s: float) -> Iterator[str]:
    """A server process whose engine takes `step_s` a step; gives its URL."""
    argv = [sys.executable, str(SERVED), str(step_s), "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def load(url: str, *, requests: int, at_once: int, within_s: float) -> Sample:
    """Send up to `requests`, `at_once` at a time, for at most `within_s`."""
    sample = Sample()
    left = iter(range(requests))
    lock = threading.Lock()
    began_s = time.perf_counter()

    def client() -> None:
        connection = Client(url)
        while time.perf_counter() - began_s < within_s:
            with lock:
                if next(left, None) is None:
                    break
            latency_s, compute_s = connection.paint()
            with lock:
                sample.latencies_s.append(latency_s)
                sample.computes_s.append(compute_s)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sample.wall_s = time.perf_counter() - began_s
    return sample


def measure(arguments: argparse.Namespace) -> dict[str, float | int]:
    """Run both loads and return the figures."""
    with served(STEP_S) as url:
        note(f"one at a time, {STEP_S * 1000:g} ms a step ...")
        load(url, requests=WARM_UP, at_once=1, within_s=arguments.within_s)
        single = load(url, requests=arguments.requests, at_once=1, within_s=arguments.within_s)
    with served(0.0) as url:
        note(f"{arguments.at_once} at once, no engine time ...")
        load(url, requests=WARM_UP, at_once=arguments.at_once, within_s=arguments.within_s)
        many = load(url, requests=10 * arguments.requests, at_once=arguments.at_once, within_s=arguments.within_s)
    return {
        "added_p50_ms": round(statistics.median(single.added_ms), 3),
        "added_p95_ms": round(quantile(single.added_ms, 0.95), 3),
        "engine_p50_ms": round(1000 * statistics.median(single.computes_s), 3),
        "null_requests_per_s": round(len(many.latencies_s) / many.wall_s, 1),
        "null_p50_ms": round(1000 * statistics.median(many.latencies_s), 3),
        "requests": len(single.latencies_s) + len(many.latencies_s),
        "at_once": arguments.at_once,
    }


def quantile(ordered: list[float], share: float) -> float:
    """Return the value below which `share` of `ordered` lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def note(text: str) -> None:
    """Tell a person how far it is."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--requests", type=int, default=200, help="one at a time; ten times as many at once")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--within-s", type=float, default=20.0, help="longest time of one load")
    arguments = parser.parse_args()
    figures = measure(arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
