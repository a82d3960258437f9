"""How often a picture differs with its company, and what `--deterministic` costs.

The same requests are painted alone and among fifteen others, which join at other times and have other steps, sizes,
guidance, LoRAs, ControlNets and start pictures. The bytes of the pixels are compared, by a default engine and by a
deterministic one. Then both paint 1, 4 and 16 equal requests at once, in turn; costs are ratios of median seconds.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from safelight import Engine

MODEL = "shapes-large"
OTHERS = 15
WITHIN_S = 0.6
AT_ONCE = (1, 4, 16)
LORAS = ("neon", "pastel", "rose", "mint", "outline")
COLOURS = ("red", "green", "blue", "yellow", "pink", "orange")
SHAPES = ("circle", "square", "star", "heart", "triangle", "cross")

Call = Mapping[str, Any]


def drawing(side: int) -> Image.Image:
    """Return a white outline on black, which the ControlNets read, and edits start from."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 255
    pixels[side // 4 + 2 : 3 * side // 4 - 2, side // 4 + 2 : 3 * side // 4 - 2] = 0
    return Image.fromarray(pixels)


def mask(side: int) -> Image.Image:
    """Return a mask whose right half is painted."""
    pixels = np.zeros((side, side), np.uint8)
    pixels[:, side // 2 :] = 255
    return Image.fromarray(pixels)


def kinds() -> Mapping[str, Call]:
    """Return requests of each kind that are painted alone and in company."""
    prompt = "a large red circle left of a small yellow star on a white background"
    plain: Call = {"prompt": prompt, "seed": 7}
    return {
        "plain": plain,
        "lora": plain | {"loras": {"neon": 0.8, "pastel": 0.5}},
        "controlnet": plain | {"controlnets": {"edges": drawing(64)}},
        "inpainting": plain | {"image": drawing(64), "mask": mask(64)},
        "large": plain | {"size": "128x128", "steps": 8},
    }


def other(draw: random.Random) -> Call:
    """Return a request of the company."""
    prompt = f"a small {draw.choice(COLOURS)} {draw.choice(SHAPES)} above a large {draw.choice(COLOURS)} heart"
    side = draw.choice((64, 64, 64, 128))
    call: dict[str, Any] = {
        "prompt": prompt,
        "seed": draw.randrange(2**32),
        "steps": draw.randint(3, 12),
        "guidance_scale": draw.choice((1.0, 2.0, 5.0)),
        "size": f"{side}x{side}",
    }
    if draw.random() < 0.4:
        call["loras"] = {name: draw.uniform(-1, 1) for name in draw.sample(LORAS, draw.randint(1, 3))}
    if draw.random() < 0.2:
        call["controlnets"] = {"edges": drawing(side)}
    if draw.random() < 0.2:
        call["image"] = drawing(side)
    return call


async def paint(engine: Engine, call: Call, *, after_s: float = 0.0) -> NDArray[np.int16]:
    """Return the pixels of one picture."""
    await asyncio.sleep(after_s)
    work = engine.edit_async if "image" in call else engine.generate_async
    (picture,) = await work(**({"model": MODEL} | dict(call)))
    return np.asarray(picture.image).astype(np.int16)


async def compare(engine: Engine, calls: Sequence[Call], *, rounds: int, name: str) -> Mapping[str, float]:
    """Paint each of `calls` alone, then `rounds` of them in company, and return how many differ, and by how much."""
    draw = random.Random(0)
    alone = [await paint(engine, call) for call in calls]
    farthest, values = [], []
    for turn in range(rounds):
        mine = calls[turn % len(calls)]
        crowd = [paint(engine, other(draw), after_s=draw.uniform(0, WITHIN_S)) for _ in range(OTHERS)]
        picture, *_ = await asyncio.gather(paint(engine, mine, after_s=draw.uniform(0, WITHIN_S)), *crowd)
        apart = np.abs(picture - alone[turn % len(calls)])
        farthest.append(int(apart.max()))
        values.append(int((apart > 0).sum()))
        print(f"{name}: round {turn + 1} of {rounds}: {values[-1]} values differ", file=sys.stderr)
    return {
        f"{name}_differs_share": sum(map(bool, farthest)) / rounds,
        f"{name}_largest_difference": max(farthest),
        f"{name}_most_values": max(values),
    }


async def seconds_of(engine: Engine, count: int, seed: int) -> float:
    """Return the seconds of `count` equal requests at once, of different seeds."""
    plain = kinds()["plain"]
    started_s = time.perf_counter()
    await asyncio.gather(*(paint(engine, plain | {"seed": seed + number}) for number in range(count)))
    return time.perf_counter() - started_s


async def costs(usual: Engine, exact: Engine, *, repeats: int) -> Mapping[str, float]:
    """Return how many times longer the deterministic engine takes, by the number of requests at once."""
    ratios = {}
    for count in AT_ONCE:
        taken: tuple[list[float], list[float]] = ([], [])
        for turn in range(repeats + 1):
            for engine, seconds in zip((usual, exact), taken, strict=True):
                seconds.append(await seconds_of(engine, count, 1000 * turn))
        one, two = (statistics.median(seconds[1:]) for seconds in taken)
        ratios[f"cost_{count}"] = two / one
        print(f"{count} at once: {one:.3f} s by default, {two:.3f} s deterministic", file=sys.stderr)
    return ratios


async def measure(arguments: argparse.Namespace) -> Mapping[str, float]:
    """Run both engines side by side."""
    calls = tuple(kinds()[kind] for kind in arguments.kinds)
    limits: dict[str, Any] = {"threads": arguments.threads, "workers": arguments.workers}
    with (
        Engine([MODEL], **limits) as usual,
        Engine([MODEL], deterministic=True, **limits) as exact,
    ):
        # Costs first: after company with LoRAs, the default engine may have some in its weights.
        ratios = await costs(usual, exact, repeats=arguments.repeats)
        found = dict(await compare(usual, calls, rounds=arguments.rounds, name="default"))
        return found | await compare(exact, calls, rounds=arguments.rounds, name="deterministic") | ratios


def main() -> None:
    """Print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--rounds", type=int, default=30, help="pictures in company, of each engine")
    parser.add_argument("--repeats", type=int, default=3, help="measured repetitions of each cost")
    parser.add_argument("--kinds", nargs="+", choices=kinds(), default=["plain"], help="what is painted in company")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of a worker")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of each engine")
    arguments = parser.parse_args()
    metrics = asyncio.run(measure(arguments))
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        for name, value in metrics.items():
            print(f"{name:34} {value:8.3f}")


if __name__ == "__main__":
    main()
