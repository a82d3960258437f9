"""What hostile bodies cost others: how long liveness waits while the server refuses each kind, and how much memory.

A server with an engine that takes no time listens on loopback. One client asks for `/health/live` all the time over a
kept connection; another one sends each body of `tests/fakes/hostile_bodies.py` several times. Other programs on the
machine delay answers too, so figures are also given beside those of an accepted body of 1 KB (`ordinary`).

- `liveness_worst_ms`: the longest that one question for liveness took while the body was sent and answered; the
  median over the repetitions. `worst` is the largest one of all kinds.
- `answer_ms`: from the first byte of the body sent to the answer, the median.
- `status`, `code`: of the answer.
- `rss_growth_mb`: growth of the largest memory that the server process has had, up to and with this kind.
"""

import argparse
import json
import runpy
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

FAKES = Path(__file__).parents[1] / "tests" / "fakes"
BODIES = runpy.run_path(str(FAKES / "hostile_bodies.py"))
HOSTILE, LARGEST, Hostile = (BODIES[name] for name in ("HOSTILE", "LARGEST", "Hostile"))

ORDINARY = Hostile(content=lambda _: json.dumps({"prompt": "x" * 900, "num_inference_steps": 1}).encode())
PAUSE_S = 0.001


class Prober:
    """Asks for liveness without end over one connection, in a thread, and notes the longest answer."""

    def __init__(self, host: str) -> None:
        self._connection = HTTPConnection(host, timeout=120)
        self._ends = threading.Event()
        self._worst_s = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Forget the longest answer."""
        self._worst_s = 0.0

    def worst_ms(self) -> float:
        """Return the longest answer since `begin`, once an answer that began now has come."""
        time.sleep(5 * PAUSE_S)
        return 1000 * self._worst_s

    def close(self) -> None:
        """End the thread."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.is_set():
            began_s = time.perf_counter()
            self._connection.request("GET", "/health/live")
            self._connection.getresponse().read()
            self._worst_s = max(self._worst_s, time.perf_counter() - began_s)
            time.sleep(PAUSE_S)


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Run a server; gives its host with port, and its process id."""
    argv = [sys.executable, str(FAKES / "served.py"), "0", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield urlsplit(process.stdout.readline().strip()).netloc, process.pid
        finally:
            process.terminate()


def send(host: str, hostile: Hostile, content: bytes) -> tuple[float, int, str]:
    """Send a body; returns the seconds to the answer, its status and its code."""
    connection = HTTPConnection(host, timeout=120)
    began_s = time.perf_counter()
    connection.request("POST", hostile.path, body=content, headers=dict(hostile.headers))
    response = connection.getresponse()
    answer = response.read()
    seconds = time.perf_counter() - began_s
    connection.close()
    error = json.loads(answer).get("error", {})
    return seconds, response.status, error.get("code", "")


def peak_mb(pid: int) -> float:
    """Return the largest resident memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(kinds: Sequence[str], *, size: int, repetitions: int) -> dict[str, object]:
    """Send every kind and return the figures."""
    figures: dict[str, dict[str, object]] = {}
    with server() as (host, pid):
        prober = Prober(host)
        for _ in range(5):
            send(host, ORDINARY, ORDINARY.content(0))
        base_mb = peak_mb(pid)
        for name in ("ordinary", *kinds):
            hostile = HOSTILE.get(name, ORDINARY)
            content = hostile.content(size)
            waits_ms, answers_ms = [], []
            for _ in range(repetitions):
                prober.begin()
                seconds, status, code = send(host, hostile, content)
                waits_ms.append(prober.worst_ms())
                answers_ms.append(1000 * seconds)
            figures[name] = {
                "bytes": len(content),
                "liveness_worst_ms": round(statistics.median(waits_ms), 1),
                "answer_ms": round(statistics.median(answers_ms), 1),
                "status": status,
                "code": code,
                "rss_growth_mb": round(peak_mb(pid) - base_mb, 1),
            }
        prober.close()
    worst = max((kind for kind in figures if kind != "ordinary"), key=lambda kind: figures[kind]["liveness_worst_ms"])
    return {
        "worst": worst,
        "worst_liveness_ms": figures[worst]["liveness_worst_ms"],
        "ordinary_liveness_ms": figures["ordinary"]["liveness_worst_ms"],
        "rss_growth_mb": max(figure["rss_growth_mb"] for figure in figures.values()),
        "kinds": figures,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--bytes", type=int, default=LARGEST, help="size of the bodies that may have any")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--kind", action="append", choices=list(HOSTILE), help="only this kind; repeatable")
    arguments = parser.parse_args()
    figures = measure(arguments.kind or list(HOSTILE), size=arguments.bytes, repetitions=arguments.repetitions)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, figure in figures["kinds"].items():
        print(
            f"{name:32} {figure['bytes'] / 1e6:6.2f} MB  {figure['status']} {figure['code']:28} "
            f"liveness {figure['liveness_worst_ms']:7.1f} ms  answer {figure['answer_ms']:7.1f} ms  "
            f"+{figure['rss_growth_mb']:.0f} MB"
        )


if __name__ == "__main__":
    sys.exit(main())
