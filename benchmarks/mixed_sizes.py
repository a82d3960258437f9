"""Pictures of three sizes at once: in calls that they share, and in a call for each size.

The same engine takes both ways in turns, step by step, in one process on one thread. At each concurrency, a third of
the pictures has each size. All are guided, so each takes two rows of a call.

- `speedup`: steps per second with shared calls, over those with a call for each size, at 12 pictures at once.
- `by_concurrency`: the same for other numbers of pictures; `gains` says whether the profile predicts that sharing is
  faster, without which a worker does not share calls.
- `largest_difference`: of pictures of shared calls from those painted alone, of 255.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import safelight
from safelight.control.mixing import LEAST_GAIN
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.request import ImageRequest
from safelight.diffusion.engine import DiffusionEngine
from safelight.profiles.profile import Profile

MODELS = Path(safelight.__file__).parent / "models"
SIDES = (48, 64, 96)
AT_ONCE = (3, 6, 12)
JUDGED = 12
STEPS = 200
REPEATS = 15
CHECKED_STEPS = 8


def job(name: str, model: str, side: int, *, steps: int, seed: int) -> Job:
    """Return a guided picture."""
    request = ImageRequest(
        id=name, prompt="a red circle above a blue star", width=side, height=side, seed=seed, arrived_s=0.0
    )
    return Job(request=request, level=Level(model=model, steps=steps, guidance_scale=3.0, sampler="euler"))


class Pictures:
    """Pictures that are being painted, some of each size."""

    def __init__(self, engine: DiffusionEngine, model: str, count: int) -> None:
        self._engine = engine
        jobs = [
            job(f"{count}-{number}", model, SIDES[number % len(SIDES)], steps=STEPS, seed=number)
            for number in range(count)
        ]
        engine.begin(jobs)
        self.ids = [each.id for each in jobs]
        self._by_size = [[each.id for each in jobs if each.request.width == side] for side in SIDES]

    def together(self) -> None:
        """Run a step of all in one call."""
        self._engine.step(self.ids)

    def apart(self) -> None:
        """Run a step of all, in a call for each size."""
        for ids in self._by_size:
            self._engine.step(ids)

    def end(self) -> None:
        """Let go of all."""
        for request_id in self.ids:
            self._engine.drop(request_id)


def ratio(apart: Callable[[], None], together: Callable[[], None]) -> float:
    """Return how many times longer steps take apart than together, of interleaved steps."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 + REPEATS):
        for way, seconds in zip((apart, together), taken, strict=True):
            started_s = perf_counter()
            way()
            seconds.append(perf_counter() - started_s)
    return median(taken[0][1:]) / median(taken[1][1:])


def gains(profile: Profile, count: int) -> bool:
    """Return whether a worker would mix three sizes of so many pictures."""
    parts = [(side, side, 2 * (count // len(SIDES))) for side in SIDES]
    apart_s = sum(profile.tick_s(rows, width=width, height=height) for width, height, rows in parts)
    return apart_s >= LEAST_GAIN * profile.mixed_s(parts)


def largest_difference(engine: DiffusionEngine, model: str) -> int:
    """Return by how much pictures of shared calls differ from those painted alone."""
    jobs = [job(f"check-{side}", model, side, steps=CHECKED_STEPS, seed=side) for side in SIDES]

    def paint(some: Sequence[Job]) -> list[np.ndarray]:
        engine.begin(some)
        ids = [each.id for each in some]
        for _ in range(CHECKED_STEPS):
            engine.step(ids)
        return [np.frombuffer(picture.rgb, np.uint8).astype(int) for picture in engine.finish(ids)]

    together = paint(jobs)
    alone = [paint([each])[0] for each in jobs]
    return max(int(np.abs(one - other).max()) for one, other in zip(together, alone, strict=True))


def measure(model: str) -> dict[str, object]:
    """Return the figures of one model."""
    engine = DiffusionEngine.load([MODELS / model], threads=1)
    profile = Profile.from_spec(engine.models[0])
    by_concurrency: dict[str, dict[str, object]] = {}
    for count in AT_ONCE:
        pictures = Pictures(engine, model, count)
        always = ratio(pictures.apart, pictures.together)
        chosen = gains(profile, count)
        by_concurrency[str(count)] = {
            "speedup": round(always, 3),
            "gains": chosen,
        }
        pictures.end()
    return {
        "speedup": by_concurrency[str(JUDGED)]["speedup"],
        "by_concurrency": by_concurrency,
        "largest_difference": largest_difference(engine, model),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    parser.add_argument("--model", choices=("shapes-large", "shapes-small"), help="only this one")
    arguments = parser.parse_args()
    models = [arguments.model] if arguments.model else ["shapes-small", "shapes-large"]
    figures = {model: measure(model) for model in models}
    first = figures[models[0]]
    report = {"speedup": first["speedup"], "sides": SIDES, **figures}
    if arguments.json:
        print(json.dumps(report))
        return
    for model, each in figures.items():
        print(f"{model}: {each}")


if __name__ == "__main__":
    main()
