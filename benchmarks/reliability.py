"""What a server does under overload, lost and hung workers, silent connections and hostile bodies.

Two servers of two workers are attacked one after the other: one with null workers that paint 20 pictures a second
together, one with the shipped models, whose rate is measured first. Each has 1,024 file handles. The phases:

1. overload: 10 times as many requests as can be painted, with deadlines of 2 to 16 s;
2. kills: half as many as can be painted, without deadlines, as in all further phases; a worker is killed every 10 s;
3. hang: a worker is stopped for 30 s;
4. deaths: a worker is killed, and dies at each start for 30 s;
5. silence: 1,000 connections say nothing;
6. bodies: one hostile body of each kind, then 60 unfinished ones of 12 MB at the same time.

- `accepted_late_share`: of the accepted requests of the overload, by the client's clock.
- `lost`: accepted requests of all phases without their picture; `delivered_once_share` is the share of the others.
- `twice`: pictures that the outcome log has finished more than once.
- `refusal_p99_ms`: of refusals during the overload, at the client.
- `rss_growth_mb`: of the server's process, without workers, over the overload.
- `liveness_worst_ms`: the slowest of all answers to `/health/live`, each over a new connection, in all phases.

The figures above the two servers' own are the worse of both. It takes 12 minutes.
"""

import argparse
import asyncio
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from attack import hostile
from attack.load import Client, Tally, quantile
from attack.server import NULL_PER_S, NULL_STEPS

HERE = Path(__file__).parent / "attack"
ENGINES = {"null": {"num_inference_steps": NULL_STEPS}, "shapes": {}}
"""By name, what each request sets."""

OVERLOAD = 10.0
CALM = 0.5
KILL_EVERY_S = 10.0
STOPPED_S = 30.0
SILENT = 1_000
FILES = 1_024
HOLD_S = 15.0
START_S = 180.0
SATURATING = 32
WARM_UP_S = 10.0
MEASURED_S = 15.0
WORSE_IF_SMALLER = {"delivered_once_share"}


class Prober:
    """Asks for liveness all the time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def end_phase(self) -> list[float]:
        """Return the milliseconds of the answers since the last phase."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@dataclass
class Attack:
    """One server under attack, and what was seen."""

    url: str
    folder: Path
    server: psutil.Process
    client: Client
    prober: Prober
    per_s: float
    tallies: dict[str, Tally] = field(default_factory=dict)
    phases: dict[str, dict[str, object]] = field(default_factory=dict)

    @property
    def workers(self) -> list[psutil.Process]:
        """Processes of workers, by number."""
        own = [child for child in self.server.children() if "--number" in child.cmdline()]
        return sorted(own, key=lambda child: child.cmdline()[-1])

    def phase(self, name: str, act: Callable[[], dict[str, object] | None], *, seconds: float) -> None:
        """Act while requests come at a calm rate."""
        asyncio.run(self._phase(name, act, rate=CALM * self.per_s, seconds=seconds, with_deadlines=False))

    def overload(self, seconds: float) -> None:
        """Send far more requests than can be painted."""
        before = self.server.memory_info().rss
        asyncio.run(
            self._phase("overload", lambda: None, rate=OVERLOAD * self.per_s, seconds=seconds, with_deadlines=True)
        )
        self.phases["overload"]["rss_growth_mb"] = round((self.server.memory_info().rss - before) / 1e6, 1)

    async def _phase(
        self,
        name: str,
        act: Callable[[], dict[str, object] | None],
        *,
        rate: float,
        seconds: float,
        with_deadlines: bool,
    ) -> None:
        note(f"  {name} ...")
        self.prober.end_phase()
        load = asyncio.create_task(self.client.at_rate(rate, seconds=seconds, with_deadlines=with_deadlines))
        seen = await asyncio.to_thread(act) or {}
        tally = self.tallies[name] = await load
        probes = self.prober.end_phase()
        self.phases[name] = seen | {
            "sent": len(tally.answers),
            "accepted": len(tally.accepted),
            "in_time_per_s": round(tally.in_time_per_s, 2),
            "lost": tally.lost,
            "no_picture": tally.codes,
            "refusal_p50_ms": round(quantile(tally.refusals_ms, 0.5), 2),
            "refusal_p99_ms": round(quantile(tally.refusals_ms, 0.99), 2),
            "liveness_p50_ms": round(quantile(sorted(probes), 0.5), 2),
            "liveness_worst_ms": round(max(probes), 1),
        }
        note(f"    {json.dumps(self.phases[name])}")

    def figures(self) -> dict[str, object]:
        """Return what the phases have shown."""
        accepted = sum(len(tally.accepted) for tally in self.tallies.values())
        lost = sum(tally.lost for tally in self.tallies.values())
        overload = self.phases["overload"]
        return {
            "accepted_late_share": round(self.tallies["overload"].late_share, 4),
            "lost": lost,
            "twice": self._twice(),
            "delivered_once_share": round((accepted - lost) / max(1, accepted), 5),
            "refusal_p99_ms": overload["refusal_p99_ms"],
            "rss_growth_mb": overload["rss_growth_mb"],
            "liveness_worst_ms": max(phase["liveness_worst_ms"] for phase in self.phases.values()),
            "goodput_share": round(overload["in_time_per_s"] / self.per_s, 3),
            "capacity_per_s": round(self.per_s, 2),
            "phases": self.phases,
        }

    def _twice(self) -> int:
        lines = (self.folder / "outcomes.jsonl").read_text().splitlines()
        finished = Counter(row["request_id"] for row in map(json.loads, lines) if row["status"] == "finished")
        return sum(times > 1 for times in finished.values())


def kills(attack: Attack, seconds: float) -> None:
    """Kill workers in turn."""
    began_s = time.monotonic()
    number = 0
    while time.monotonic() - began_s < seconds - KILL_EVERY_S:
        time.sleep(KILL_EVERY_S)
        if workers := attack.workers:
            workers[number % len(workers)].kill()
        number += 1


def hang(attack: Attack) -> dict[str, object]:
    """Stop a worker, and let it continue."""
    time.sleep(2)
    worker = attack.workers[0]
    worker.suspend()
    time.sleep(STOPPED_S)
    was_replaced = not worker.is_running()
    if not was_replaced:
        worker.resume()
    return {"was_replaced": was_replaced}


def deaths(attack: Attack) -> dict[str, object]:
    """Have a worker die at each start, and look whether it is there again afterwards."""
    flag = attack.folder / "dies-0"
    flag.touch()
    attack.workers[0].kill()
    time.sleep(STOPPED_S)
    flag.unlink()
    began_s = time.monotonic()
    while time.monotonic() - began_s < START_S and len(attack.workers) < len(("0", "1")):
        time.sleep(0.1)
    return {"recovered_s": round(time.monotonic() - began_s, 1)}


def silence(attack: Attack) -> dict[str, object]:
    """Hold silent connections."""
    with hostile.silent_connections(attack.url, SILENT) as opened:
        time.sleep(HOLD_S)
    return {"opened": opened}


def bodies(attack: Attack) -> dict[str, object]:
    """Send a hostile body of each kind, and then unfinished ones."""
    answers = {}
    for kind in hostile.BODIES:
        status, seconds = hostile.send_body(attack.url, kind)
        answers[kind] = [status, round(seconds, 3)]
    before = attack.server.memory_info().rss
    with hostile.half_bodies(attack.url):
        time.sleep(2)
        held_mb = round((attack.server.memory_info().rss - before) / 1e6, 1)
    return {"answers": answers, "half_bodies_mb": held_mb}


def measure(engine: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Attack one server and return the figures."""
    note(f"{engine}: starting ...")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reliability")))
        process = stack.enter_context(running(folder, "server.py", engine, str(folder)))
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit(f"The server did not start:\n{(folder / 'server.log').read_text()[-2000:]}")
        client = Client(url, fields=ENGINES[engine])
        address = urlsplit(url)
        prober = stack.enter_context(running(folder, "liveness.py", str(address.hostname), str(address.port)))
        measured = asyncio.run(client.at_once(SATURATING, warm_up_s=WARM_UP_S, seconds=MEASURED_S))
        per_s = NULL_PER_S if engine == "null" else measured
        note(f"  {measured:.1f} pictures a second")
        attack = Attack(
            url=url,
            folder=folder,
            server=psutil.Process(process.pid),
            client=client,
            prober=Prober(prober),
            per_s=per_s,
        )
        attack.overload(arguments.overload_s)
        attack.phase("kills", lambda: kills(attack, arguments.kills_s), seconds=arguments.kills_s)
        attack.phase("hang", lambda: hang(attack), seconds=STOPPED_S + 10)
        attack.phase("deaths", lambda: deaths(attack), seconds=STOPPED_S + 10)
        attack.phase("silence", lambda: silence(attack), seconds=HOLD_S + 5)
        attack.phase("bodies", lambda: bodies(attack), seconds=HOLD_S)
        return attack.figures()


@contextmanager
def running(folder: Path, program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program of the attack with a limited number of files; at the end it and its descendants are gone."""
    with (
        (folder / Path(program).with_suffix(".log")).open("w") as log,
        subprocess.Popen(
            [sys.executable, str(HERE / program), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=_limit_files,  # noqa: PLW1509 - this program has started no thread yet
        ) as process,
    ):
        try:
            yield process
        finally:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            process.terminate()
            _, left = psutil.wait_procs(family, timeout=30)
            for member in left:
                member.kill()


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


def note(text: str) -> None:
    """Report progress to a person."""
    print(text, file=sys.stderr, flush=True)


def worse(name: str, values: list[float]) -> float:
    return min(values) if name in WORSE_IF_SMALLER else max(values)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--engine", choices=ENGINES, help="attack only this one")
    parser.add_argument("--overload-s", type=float, default=120.0, help="seconds of overload")
    parser.add_argument("--kills-s", type=float, default=60.0, help="seconds in which workers are killed")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, 16 * FILES)), most))
    engines = [arguments.engine] if arguments.engine else list(ENGINES)
    measured = {engine: measure(engine, arguments) for engine in engines}
    headline = [name for name, value in measured[engines[0]].items() if isinstance(value, int | float)]
    metrics = {name: worse(name, [each[name] for each in measured.values()]) for name in headline[:7]} | measured
    if arguments.json:
        print(json.dumps(metrics))
    else:
        for name in headline[:7]:
            print(f"{name:>24}  {metrics[name]}")


if __name__ == "__main__":
    main()
