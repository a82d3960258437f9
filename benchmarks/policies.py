"""The live server under three rules: vLLM-Omni's, SGLang Diffusion's, and our defaults.

Three servers differ in `--policy` alone. Each has one worker with `shapes-small` and `shapes-large`; only one gets load
at a time. Requests ask for the models 4 to 1, for 4 to 50 steps and two sizes; a third has one of eight LoRAs. A
deadline is 3 times what the same request takes alone and without LoRAs, measured first. Refused, failed and late
requests miss theirs.

- capacity: the highest Poisson rate with 99 % of deadlines met;
- burst: at half of our capacity as the mean rate, the largest multiple of it, for 10 s, with 90 % met, over the
  requests of the burst and of 10 s after it.

Both are found by bisection with the same requests for all servers, which take turns. Every measured point is in
`points`. It takes about 25 minutes, with `--quick` about 6.
"""

import argparse
import asyncio
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from safelight.local.model_folders import SHIPPED_ADAPTERS

RULES = {"fifo": ("vllm-omni",), "anchor": ("sglang",), "ours": ()}
SMALL, LARGE = "shapes-small", "shapes-large"
SIZES = (64, 96)
SMALL_SHARE = 0.8
LORA_SHARE = 1 / 3
LORAS = 8
FEWEST_STEPS, MOST_STEPS = 4, 50
DEADLINE_SOLOS = 3.0
CAPACITY_ATTAINMENT, BURST_ATTAINMENT = 0.99, 0.9
BURST_S = 10.0
START_S = 240.0
ADDRESS = re.compile(r"http://[0-9.]+:[0-9]+")
STYLES = ("outline", "pastel", "night", "rose", "mint", "sunset", "spotlight", "neon")
SMALL_STYLE = "pastel-small"
SHAPES = ("circle", "square", "triangle")
COLOURS = ("red", "green", "blue", "yellow")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request; `at_s` after the begin of the load."""

    at_s: float
    model: str
    side: int
    steps: int
    lora: int | None
    number: int

    @property
    def body(self) -> dict[str, object]:
        """Of the request, without a deadline."""
        choose = random.Random(self.number)
        body: dict[str, object] = {
            "prompt": f"a {choose.choice(COLOURS)} {choose.choice(SHAPES)} on a white background",
            "model": self.model,
            "size": f"{self.side}x{self.side}",
            "num_inference_steps": self.steps,
            "seed": self.number,
        }
        if self.lora is not None:
            body["loras"] = [{"name": lora_name(self.model, self.lora), "scale": 1.0}]
        return body


def lora_name(model: str, number: int) -> str:
    """Return the name of one of the eight LoRAs of a model."""
    return STYLES[number] if model == LARGE else f"small-{number}"


def workload(times_s: Sequence[float], *, seed: int) -> list[Ask]:
    """Return requests that come at `times_s`; the same seed gives the same ones."""
    draw = random.Random(seed)
    return [
        Ask(
            at_s=at_s,
            model=SMALL if draw.random() < SMALL_SHARE else LARGE,
            side=draw.choice(SIZES),
            steps=draw.randint(FEWEST_STEPS, MOST_STEPS),
            lora=draw.randrange(LORAS) if draw.random() < LORA_SHARE else None,
            number=number,
        )
        for number, at_s in enumerate(times_s)
    ]


def poisson(rate_per_s: float, seconds: float, *, seed: int, begin_s: float = 0.0) -> list[float]:
    """Return the times of Poisson arrivals; a higher rate with the same seed has the same ones, closer together."""
    draw, times_s, at_s = random.Random(seed), [], begin_s
    while (at_s := at_s + draw.expovariate(1.0) / rate_per_s) < begin_s + seconds:
        times_s.append(at_s)
    return times_s


@dataclass(frozen=True, kw_only=True)
class SoloTimes:
    """Seconds of a request alone: a line through two measured numbers of steps, for each model and size."""

    lines: dict[tuple[str, int], tuple[float, float]]

    def deadline_s(self, ask: Ask) -> float:
        """Return the deadline of a request."""
        base_s, step_s = self.lines[ask.model, ask.side]
        return DEADLINE_SOLOS * (base_s + step_s * ask.steps)


@dataclass
class Server:
    """A server under one rule."""

    rule: str
    url: str
    session: aiohttp.ClientSession
    solo: SoloTimes | None = None
    points: list[dict[str, object]] = field(default_factory=list)

    async def solo_times(self) -> SoloTimes:
        """Measure requests alone."""
        lines = {}
        for model in (SMALL, LARGE):
            for side in SIZES:
                few, many = [await self._solo_s(model, side, steps) for steps in (FEWEST_STEPS, MOST_STEPS)]
                step_s = max(0.0, (many - few) / (MOST_STEPS - FEWEST_STEPS))
                lines[model, side] = (max(0.0, few - FEWEST_STEPS * step_s), step_s)
        return SoloTimes(lines=lines)

    async def _solo_s(self, model: str, side: int, steps: int) -> float:
        taken = []
        for number in range(4):
            ask = Ask(at_s=0.0, model=model, side=side, steps=steps, lora=None, number=number)
            started_s = time.perf_counter()
            if await self._status(ask.body) != 200:
                raise SystemExit(f"{self.rule}: a request alone was not served")
            taken.append(time.perf_counter() - started_s)
        return sorted(taken[1:])[1]

    async def warm_up(self) -> None:
        """Use every LoRA once, so that all are loaded."""
        for model in (SMALL, LARGE):
            for lora in range(LORAS):
                await self._status(Ask(at_s=0.0, model=model, side=64, steps=4, lora=lora, number=lora).body)

    async def attainment(self, asks: Sequence[Ask]) -> tuple[float, dict[int, int]]:
        """Send requests at their times, whatever the answers; return the share in time, and the counts by status."""
        begin_s = time.perf_counter() + 0.5
        results = await asyncio.gather(*(self._send(ask, begin_s) for ask in asks))
        statuses = [status for status, _ in results]
        in_time = sum(is_in_time for _, is_in_time in results)
        return in_time / max(1, len(results)), {status: statuses.count(status) for status in sorted(set(statuses))}

    async def _send(self, ask: Ask, begin_s: float) -> tuple[int, bool]:
        assert self.solo is not None
        deadline_s = self.solo.deadline_s(ask)
        await asyncio.sleep(max(0.0, begin_s + ask.at_s - time.perf_counter()))
        sent_s = time.perf_counter()
        status = await self._status({**ask.body, "deadline_s": deadline_s})
        return status, status == 200 and time.perf_counter() - sent_s <= deadline_s

    async def _status(self, body: dict[str, object]) -> int:
        try:
            async with self.session.post(f"{self.url}/v1/images/generations", json=body) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


@contextmanager
def serving(rule: str, folder: Path) -> Iterator[str]:
    """Start a server; yields its address once it is ready."""
    argv = [sys.executable, "-m", "safelight", "serve", "--port", "0", "--workers", "1", "--threads", "1"]
    argv += ["--model", SMALL, "--model", LARGE, "--adapters", str(folder / "adapters"), "--log-format", "json"]
    argv += [part for choice in RULES[rule] for part in ("--policy", choice)]
    log = (folder / f"{rule}.log").open("w+")
    process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        yield _address(process, folder / f"{rule}.log")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        if (found := ADDRESS.search(log.read_text())) is not None:
            return found[0]
        time.sleep(0.2)
    raise SystemExit(f"The server did not start:\n{log.read_text()[-2000:]}")


async def _is_ready(server: Server) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        try:
            async with server.session.get(f"{server.url}/health/ready") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.3)
    raise SystemExit(f"{server.rule}: not ready")


def own_adapters(folder: Path) -> None:
    """Make eight LoRAs of the small model: copies of the one that there is."""
    (folder / "adapters").mkdir()
    for number in range(LORAS):
        shutil.copytree(SHIPPED_ADAPTERS / SMALL_STYLE, folder / "adapters" / f"small-{number}")


class Search:
    """Searches for the largest load that a server bears, by bisection on a scale of ratios."""

    def __init__(self, server: Server, *, kind: str, wanted: float, low: float, high: float, ratio: float) -> None:
        self.server = server
        self._kind = kind
        self._wanted = wanted
        self._low, self._high, self._ratio = low, high, ratio
        self._best = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the bounds are closer than the wanted ratio."""
        return self._high / self._low <= self._ratio

    @property
    def best(self) -> float:
        """The largest load that was borne; 0 if none was."""
        return self._best

    async def probe(self, asks_at: "Probe", *, seed: int) -> None:
        """Measure the middle of the bounds."""
        load = math.sqrt(self._low * self._high)
        asks = asks_at(load, seed)
        attained, statuses = await self.server.attainment(asks)
        self.server.points.append(
            {"kind": self._kind, "load": round(load, 3), "requests": len(asks), "attainment": round(attained, 4)}
            | {"statuses": statuses}
        )
        note(f"  {self.server.rule:>6} {self._kind} {load:6.2f}: {attained:.3f} of {len(asks)} {statuses}")
        if attained >= self._wanted:
            self._low, self._best = load, load
        else:
            self._high = load


class Probe:
    """Makes the requests of one load."""

    def __init__(self, *, seconds: float, mean_per_s: float | None = None) -> None:
        self._seconds = seconds
        self._mean_per_s = mean_per_s

    def __call__(self, load: float, seed: int) -> list[Ask]:
        if self._mean_per_s is None:
            return workload(poisson(load, self._seconds, seed=seed), seed=seed)
        burst = poisson(load * self._mean_per_s, BURST_S, seed=seed)
        calm = poisson(self._mean_per_s, self._seconds, seed=seed + 1, begin_s=BURST_S)
        return workload([*burst, *calm], seed=seed)


async def search(searches: Sequence[Search], asks_at: Probe, *, seed: int) -> None:
    """Probe all servers in turns until each has its result."""
    while any(not each.is_over for each in searches):
        for each in searches:
            if not each.is_over:
                await each.probe(asks_at, seed=seed)


async def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Return all figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own_adapters(folder)
        timeout = aiohttp.ClientTimeout(total=180)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            servers = []
            for rule in RULES:
                note(f"starting {rule}")
                server = Server(rule=rule, url=stack.enter_context(serving(rule, folder)), session=session)
                await _is_ready(server)
                servers.append(server)
            solo = await servers[-1].solo_times()
            for server in servers:
                server.solo = solo
                await server.warm_up()
            return await _searched(servers, solo, arguments)


async def _searched(servers: Sequence[Server], solo: SoloTimes, arguments: argparse.Namespace) -> dict[str, object]:
    mean_s = sum(solo.deadline_s(ask) for ask in workload([0.0] * 400, seed=0)) / 400 / DEADLINE_SOLOS
    note(f"a request takes {mean_s:.3f} s alone on average")
    capacities = [
        Search(
            server, kind="rate", wanted=CAPACITY_ATTAINMENT, low=0.05 / mean_s, high=6 / mean_s, ratio=arguments.ratio
        )
        for server in servers
    ]
    await search(capacities, Probe(seconds=arguments.seconds), seed=arguments.seed)
    capacity = {each.server.rule: each.best for each in capacities}
    mean_per_s = max(0.05 / mean_s, capacity["ours"] / 2)
    bursts = [
        Search(server, kind="burst", wanted=BURST_ATTAINMENT, low=0.05, high=32.0, ratio=arguments.ratio)
        for server in servers
    ]
    await search(bursts, Probe(seconds=BURST_S, mean_per_s=mean_per_s), seed=arguments.seed)
    burst = {each.server.rule: each.best for each in bursts}
    return {
        "capacity_vs_fifo": _ratio(capacity["ours"], capacity["fifo"]),
        "capacity_vs_anchor": _ratio(capacity["ours"], capacity["anchor"]),
        "burst_vs_fifo": _ratio(burst["ours"], burst["fifo"]),
        "burst_vs_anchor": _ratio(burst["ours"], burst["anchor"]),
        "capacity_per_s": {rule: round(value, 3) for rule, value in capacity.items()},
        "burst": {rule: round(value, 3) for rule, value in burst.items()},
        "burst_mean_per_s": round(mean_per_s, 3),
        "solo_mean_s": round(mean_s, 4),
        "points": {server.rule: server.points for server in servers},
    }


def _ratio(ours: float, theirs: float) -> float | None:
    """Return how many times more ours bears; None if the peer bears nothing that was tried."""
    return round(ours / theirs, 2) if theirs else None


def note(text: str) -> None:
    """Write progress to standard error."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    parser.add_argument("--seconds", type=float, default=40.0, help="of load for each rate")
    parser.add_argument("--ratio", type=float, default=1.15, help="how close the bounds of a search come")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="short loads and wide bounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.ratio = 12.0, 1.5
    figures = asyncio.run(measure(arguments))
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        if name != "points":
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
