"""A cascade under load, live: how many requests are answered in time, and how right their pictures are.

For each way to serve (`heavy`, `light`, `static`, `ours`), `safelight serve` runs with one level policy (`heaviest`,
`lightest`, `cascade-static`, `cascade`). Captions that training did not use arrive at random (Poisson), the same for
each way, at multiples of the heavy model's capacity, which is measured first like that of the light model. Each request
has a deadline: a multiple of the time of one heavy picture on an idle server. Nothing is simulated.

- `loads`: multiples of the heavy model's capacity; 0.85 of the light model's is among them.
- `attainment`: by way and load, the share of all requests that were answered in time; refused ones are not.
- `facts`: the share of the answers whose pictures show every fact of their captions (the scene score).
- `facts_of_all`: the same of all requests, with those that were not answered in time as wrong.
- `heavy_share`: of the answers, those whose picture is the heavy model's.
- `on_frontier`: by load, whether `ours` is at least as good as each other way in attainment or in facts.
"""

import argparse
import asyncio
import base64
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import numpy as np
from PIL import Image

from safelight.local.model_folders import SHIPPED_GATE
from safelight.shapes.caption import parse
from safelight.shapes.sampling import held_out_captions
from safelight.shapes.score import score

LIGHT, HEAVY, AUTO = "shapes-small", "shapes-large", "auto"
WAYS: Mapping[str, str] = {"heavy": "heaviest", "light": "lightest", "static": "cascade-static", "ours": "cascade"}
LOADS = (0.3, 0.6, 0.85, 1.0, 2.0, 4.0, 7.0, 10.0)
LIGHT_SHARE = 0.85
SATURATING = 32
WARM_UPS = 4
ALONE = 5
START_S = 180.0
SLACK_S = 30.0
SEED = 7


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one request; `facts` is None without a picture."""

    seconds: float
    status: int
    model: str = ""
    facts: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Point:
    """The answers of one way at one load."""

    answers: Sequence[Answer]
    deadline_s: float

    @property
    def in_time(self) -> list[Answer]:
        return [each for each in self.answers if each.status == 200 and each.seconds <= self.deadline_s]

    @property
    def figures(self) -> dict[str, float]:
        painted = [each for each in self.answers if each.facts is not None]
        return {
            "attainment": len(self.in_time) / len(self.answers),
            "facts": sum(bool(each.facts) for each in painted) / max(1, len(painted)),
            "facts_of_all": sum(bool(each.facts) for each in self.in_time) / len(self.answers),
            "heavy_share": sum(each.model == HEAVY for each in painted) / max(1, len(painted)),
        }


@contextmanager
def served(way: str, gate: Path, port: int, workers: int) -> Iterator[str]:
    """Serve one way, and give the server's URL."""
    cascade = f"{AUTO}={LIGHT},{HEAVY},{gate}"
    options = ("--port", str(port), "--workers", str(workers), "--cascade", cascade, "--policy", f"level={WAYS[way]}")
    program = (sys.executable, "-m", "safelight", "serve", *options, "--log-level", "warning")
    server = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(ready(url, server))
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(START_S)


async def ready(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server is ready; raises RuntimeError when it ends before."""
    give_up_s = time.monotonic() + START_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < give_up_s:
            if server.poll() is not None:
                raise RuntimeError("the server has ended; run its command to see why")
            try:
                async with session.get(f"{url}/health/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise RuntimeError("the server is not ready")


async def ask(session: aiohttp.ClientSession, url: str, caption: str, seed: int, **fields: object) -> Answer:
    body = {"prompt": caption, "model": AUTO, "seed": seed} | fields
    began_s = time.perf_counter()
    try:
        async with session.post(f"{url}/v1/images/generations", json=body) as response:
            answer = await response.json()
            seconds = time.perf_counter() - began_s
    except (aiohttp.ClientError, TimeoutError):
        return Answer(seconds=time.perf_counter() - began_s, status=0)
    if response.status != 200:
        return Answer(seconds=seconds, status=response.status)
    picture = Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"]))).convert("RGB")
    shares = await asyncio.to_thread(lambda: score(np.asarray(picture), parse(caption)).share)
    return Answer(seconds=seconds, status=200, model=answer["safelight"]["model"], facts=shares == 1.0)


async def capacity(url: str, captions: Sequence[str], quality: str, seconds: float) -> float:
    """Return the pictures in a second with many clients that wait for each other."""
    ended = 0
    until_s = time.perf_counter() + seconds

    async def client(number: int) -> None:
        nonlocal ended
        while time.perf_counter() < until_s:
            await ask(session, url, captions[number % len(captions)], number, quality=quality)
            ended += 1

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        began_s = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(SATURATING)))
        return ended / (time.perf_counter() - began_s)


async def alone(url: str, captions: Sequence[str]) -> float:
    """Return the seconds of a heavy picture on an idle server."""
    async with aiohttp.ClientSession() as session:
        for number in range(WARM_UPS):
            await ask(session, url, captions[number], number, quality="low" if number % 2 else "high")
        return median([(await ask(session, url, captions[0], seed, quality="high")).seconds for seed in range(ALONE)])


async def under(url: str, captions: Sequence[str], rate_per_s: float, seconds: float, deadline_s: float) -> Point:
    """Return what becomes of requests that arrive at random at this rate."""
    rng = np.random.default_rng(SEED)
    due_s = np.cumsum(rng.exponential(1 / rate_per_s, size=max(8, round(rate_per_s * seconds))))
    timeout = aiohttp.ClientTimeout(total=deadline_s + SLACK_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        began_s = time.perf_counter()

        async def at(number: int, moment_s: float) -> Answer:
            await asyncio.sleep(began_s + moment_s - time.perf_counter())
            return await ask(session, url, captions[number % len(captions)], number, deadline_s=deadline_s)

        answers = await asyncio.gather(*(at(number, float(moment_s)) for number, moment_s in enumerate(due_s)))
    return Point(answers=answers, deadline_s=deadline_s)


def on_frontier(figures: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether no other way is better than `ours` in attainment and in facts at once, beyond one answer in 200."""
    ours = figures.get("ours", {"attainment": 0.0, "facts": 0.0})
    tolerance = 0.005
    return not any(
        other["attainment"] > ours["attainment"] + tolerance and other["facts"] > ours["facts"] + tolerance
        for name, other in figures.items()
        if name != "ours"
    )


def measured(arguments: argparse.Namespace) -> dict[str, object]:
    """Run all ways at all loads."""
    rng = np.random.default_rng(SEED)
    half = arguments.captions // 2
    captions = [
        caption
        for pair in zip(*(held_out_captions(rng, objects=n, count=half) for n in (1, 2)), strict=True)
        for caption in pair
    ]
    points: dict[str, dict[str, dict[str, float]]] = {}
    rates: dict[str, float] = {}
    loads: list[float] = []
    deadline_s = 0.0
    for way in arguments.ways:
        with served(way, arguments.gate, arguments.port, arguments.workers) as url:
            if not rates:
                deadline_s = arguments.deadline * asyncio.run(alone(url, captions))
                rates = {
                    quality: asyncio.run(capacity(url, captions, quality, arguments.capacity_s))
                    for quality in ("high", "low")
                }
                near_light = LIGHT_SHARE * rates["low"] / rates["high"]
                loads = sorted({*arguments.loads, round(near_light, 3)})
            points[way] = {}
            for load in loads:
                point = asyncio.run(under(url, captions, load * rates["high"], arguments.seconds, deadline_s))
                points[way][str(load)] = point.figures
                print(f"{way} at {load}: {point.figures}", file=sys.stderr)
    names = ("attainment", "facts", "facts_of_all", "heavy_share")
    return {
        "is_simulated": False,
        "heavy_per_s": rates["high"],
        "light_per_s": rates["low"],
        "deadline_s": deadline_s,
        "loads": loads,
        **{name: {way: {at: each[name] for at, each in own.items()} for way, own in points.items()} for name in names},
        "on_frontier": {str(load): on_frontier({way: own[str(load)] for way, own in points.items()}) for load in loads},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", type=Path, default=SHIPPED_GATE, help="of the shipped models")
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS, help="multiples of the heavy model's capacity")
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=tuple(WAYS), help="to serve")
    parser.add_argument("--seconds", type=float, default=60.0, help="of arrivals at each load")
    parser.add_argument("--capacity-s", type=float, default=30.0, help="of each measurement of a capacity")
    parser.add_argument("--deadline", type=float, default=4.0, help="as a multiple of the time of one heavy picture")
    parser.add_argument("--captions", type=int, default=400)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--port", type=int, default=8792)
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    figures = measured(parser.parse_args())
    print(json.dumps(figures, indent=None if "--json" in sys.argv else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
