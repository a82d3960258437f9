"""What HTTP, control and worker messages cost, with an engine that paints nothing, beside LitServe and Ray Serve.

Each server has one worker process and listens on loopback. Each request asks for one picture of 64 x 64 pixels; each
server encodes the same PNG anew and answers with base64 in JSON. The client keeps its connections. The servers take
turns in several rounds, because other programs disturb a machine for a while; metrics are medians over rounds.

- `added_p50_ms`: 25 steps of 1 ms, one request at a time; latency less the seconds that the engine itself took.
- `null_requests_per_s`: one step, many requests at once, with an engine that takes no time; `null_25_steps_...` with
  25 steps.
- `litserve_...`, `ray_serve_...`: the same of the peers, which have no steps.
- `vs_litserve`, `vs_ray_serve`: requests per second with one step over the peer's, within a round.
- `..._latency_p50_ms`: one request at a time, engine that takes no time.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psutil

HERE = Path(__file__).parent
SERVED = HERE.parent / "tests" / "fakes" / "served.py"
PEERS = {"litserve": ("/predict", "lit_serve.py"), "ray_serve": ("/", "ray_serve.py")}
"""By name, which is that of the metrics: the path to send to, and the program."""

RAY_STAYS_HERE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # as there, it listens on loopback only
    "RAY_AUTH_MODE": "token",
}

REQUEST = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
)
PROMPT = {"prompt": "a large red circle on a white background", "seed": 1}
STEPS = 25
STEP_S = 0.001
WARM_UP = 20
START_S = 120.0
END_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where requests go, and what they say."""

    url: str
    path: str = "/v1/images/generations"
    steps: int | None = None

    @property
    def request(self) -> bytes:
        """The bytes of one request."""
        body = json.dumps(PROMPT | ({"num_inference_steps": self.steps} if self.steps else {}))
        return REQUEST.format(path=self.path, host=urlsplit(self.url).netloc, length=len(body), body=body).encode()


@dataclass
class Sample:
    """Seconds of one load: each request's latency and what the engine says it took."""

    latencies_s: list[float] = field(default_factory=list)
    computes_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def requests_per_s(self) -> float:
        """Throughput."""
        return len(self.latencies_s) / self.wall_s

    @property
    def p50_ms(self) -> float:
        """Median latency."""
        return 1000 * statistics.median(self.latencies_s)

    @property
    def added_ms(self) -> list[float]:
        """Milliseconds that each request took beyond the engine's own, in ascending order."""
        pairs = zip(self.latencies_s, self.computes_s, strict=True)
        return sorted(1000 * (latency_s - compute_s) for latency_s, compute_s in pairs)


class Client:
    """One kept connection, over a bare socket: no client library whose own time would count."""

    def __init__(self, target: Target) -> None:
        address = urlsplit(target.url)
        assert address.hostname == "127.0.0.1", "loopback only"
        assert address.port is not None
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._request = target.request

    def paint(self) -> tuple[float, float, str]:
        """Ask for one picture; returns the latency, the engine's own seconds and the picture in base64."""
        began_s = time.perf_counter()
        self._socket.sendall(self._request)
        status = self._answers.readline()
        headers = dict(iter(self._header, None))
        content = self._content(headers)
        latency_s = time.perf_counter() - began_s
        if not status.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"The server answered {status!r}: {content[:500]!r}")
        answer = json.loads(content)
        return latency_s, answer.get("safelight", {}).get("compute_s", 0.0), answer["data"][0]["b64_json"]

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._socket.close()

    def _header(self) -> tuple[bytes, bytes] | None:
        name, _, value = self._answers.readline().strip().partition(b": ")
        return (name.lower(), value) if name else None

    def _content(self, headers: Mapping[bytes, bytes]) -> bytes:
        if b"content-length" in headers:
            return self._answers.read(int(headers[b"content-length"]))
        content = b""
        while size := int(self._answers.readline() or b"0", 16):
            content += self._answers.read(size)
            self._answers.readline()
        self._answers.readline()
        return content


@contextmanager
def running(*argv: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program; at the end it and its descendants are gone."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        except ConnectionError as error:
            log.seek(0)
            raise SystemExit(f"{error}\n{log.read()[-2000:]}") from None
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ask a program to end, by closing its input, and kill what remains of it and its descendants."""
    leader = psutil.Process(process.pid)
    family = [leader, *leader.children(recursive=True)]
    assert process.stdin is not None
    process.stdin.close()
    _, left = psutil.wait_procs(family, timeout=END_S)
    for member in left:
        member.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def ours(step_s: float) -> Iterator[str]:
    """Run Safelight with an engine that takes `step_s` a step; gives its URL."""
    with running(str(SERVED), str(step_s), "1") as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def peer(name: str) -> Iterator[Target]:
    """Run a peer; gives what to send to it, once it has answered."""
    path, program = PEERS[name]
    port = free_port()
    target = Target(url=f"http://127.0.0.1:{port}", path=path)
    with tempfile.TemporaryDirectory(prefix="peer") as folder, ExitStack() as stack:
        arguments = (folder,) if name == "ray_serve" else ()
        environment = RAY_STAYS_HERE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if name == "ray_serve" else {}
        process = stack.enter_context(running(str(HERE / "peers" / program), str(port), *arguments, **environment))
        give_up_s = time.monotonic() + START_S
        while not answers(target):
            if process.poll() is not None or time.monotonic() > give_up_s:
                raise ConnectionError(f"{name} did not start.")
            time.sleep(0.2)
        yield target


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(target: Target) -> bool:
    """Return whether a server gives pictures."""
    try:
        paint_once(target)
    except (OSError, ValueError):
        return False
    return True


def paint_once(target: Target) -> str:
    """Return a picture in base64."""
    client = Client(target)
    try:
        return client.paint()[2]
    finally:
        client.close()


def load(target: Target, *, at_once: int, requests: int | None = None, within_s: float) -> Sample:
    """Send `requests`, or as many as there are, `at_once` at a time, for at most `within_s`."""
    sample = Sample()
    left = iter(range(requests)) if requests else count()
    lock = threading.Lock()
    clients = [Client(target) for _ in range(at_once)]
    began_s = time.perf_counter()

    def send(client: Client) -> None:
        while time.perf_counter() - began_s < within_s:
            with lock:
                if next(left, None) is None:
                    break
            latency_s, compute_s, _ = client.paint()
            with lock:
                sample.latencies_s.append(latency_s)
                sample.computes_s.append(compute_s)

    threads = [threading.Thread(target=send, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sample.wall_s = time.perf_counter() - began_s
    for client in clients:
        client.close()
    return sample


def measure(arguments: argparse.Namespace) -> dict[str, float | int]:
    """Run all loads, in rounds, and return the metrics."""
    rates: dict[str, list[float]] = defaultdict(list)
    latencies_ms: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        note("starting ...")
        url, slow_url = (stack.enter_context(ours(step_s)) for step_s in (0.0, STEP_S))
        targets = {"null": Target(url=url, steps=1), **{name: stack.enter_context(peer(name)) for name in PEERS}}
        targets["null_25_steps"] = Target(url=url, steps=STEPS)
        slow = Target(url=slow_url, steps=STEPS)
        if len({paint_once(target) for target in targets.values()}) != 1:
            raise SystemExit("The servers do not answer with the same picture.")
        for target in (*targets.values(), slow):
            load(target, at_once=arguments.at_once, requests=10 * WARM_UP, within_s=arguments.seconds)
        added = Sample()
        for number in range(1, arguments.rounds + 1):
            note(f"round {number} of {arguments.rounds} ...")
            for name, target in targets.items():
                rates[name].append(load(target, at_once=arguments.at_once, within_s=arguments.seconds).requests_per_s)
                single = load(target, at_once=1, requests=arguments.requests, within_s=arguments.seconds)
                latencies_ms[name].append(single.p50_ms)
            single = load(slow, at_once=1, requests=arguments.requests, within_s=10 * arguments.seconds)
            added.latencies_s += single.latencies_s
            added.computes_s += single.computes_s
    return (
        {
            "added_p50_ms": round(statistics.median(added.added_ms), 3),
            "added_p95_ms": round(quantile(added.added_ms, 0.95), 3),
            "engine_p50_ms": round(1000 * statistics.median(added.computes_s), 3),
        }
        | {f"{name}_requests_per_s": round(statistics.median(values), 1) for name, values in rates.items()}
        | {f"{name}_latency_p50_ms": round(statistics.median(values), 3) for name, values in latencies_ms.items()}
        | {f"vs_{name}": round(statistics.median(ratios(rates["null"], rates[name])), 3) for name in PEERS}
        | {"rounds": arguments.rounds, "at_once": arguments.at_once}
    )


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Divide `values` by `others`, one by one."""
    return [value / other for value, other in zip(values, others, strict=True)]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of `ordered` lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def note(text: str) -> None:
    """Report progress to a person."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one load of many requests at once")
    parser.add_argument("--requests", type=int, default=100, help="of one load of one request at a time")
    parser.add_argument("--at-once", type=int, default=16)
    arguments = parser.parse_args()
    if missing := [name for name in ("litserve", "ray") if find_spec(name) is None]:
        raise SystemExit(f"{' and '.join(missing)} must be installed: make install")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    metrics = measure(arguments)
    if arguments.json:
        print(json.dumps(metrics))
    else:
        for name, value in metrics.items():
            print(f"{name:>32}  {value}")


if __name__ == "__main__":
    main()
