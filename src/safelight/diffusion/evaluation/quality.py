"""How well the embedded models follow their captions: the table of `safelight score shapes`."""

import time
from collections.abc import Callable, Sequence
from statistics import median

import msgspec
import numpy as np

from safelight.core.pixels import Pixels
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job, paint, paint_all
from safelight.shapes.caption import parse
from safelight.shapes.sampling import held_out_captions
from safelight.shapes.score import score

PROMPTS = 500
SEED = 20_000
COST_REPEATS = 7


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """Mean share of facts that hold, and share of pictures in which all do."""

    facts: float
    all: float


class ByObjects(msgspec.Struct, frozen=True, kw_only=True):
    """The scores over captions of one object and of two."""

    one: Following
    two: Following


Progress = Callable[[int, int], None]
"""Called with (pictures painted, pictures in all)."""


def score_model(engine: DiffusionEngine, model: str, *, prompts: int = PROMPTS, on_picture: Progress) -> ByObjects:
    """Paint `prompts` held-out captions, half of one object and half of two, and judge the pictures."""
    rng = np.random.default_rng(SEED)
    results = []
    for objects in (1, 2):
        captions = held_out_captions(rng, objects=objects, count=prompts // 2)
        jobs = [
            make_job(engine.models, caption, model=model, seed=SEED + number) for number, caption in enumerate(captions)
        ]
        judged = []
        for number, picture in enumerate(paint_all(engine, jobs)):
            judgement = score(_as_array(picture), parse(captions[number]))
            judged.append((judgement.share, judgement.all_hold))
            on_picture((objects - 1) * (prompts // 2) + number + 1, prompts)
        facts, complete = (float(np.mean(values)) for values in zip(*judged, strict=True))
        results.append(Following(facts=facts, all=complete))
    return ByObjects(one=results[0], two=results[1])


def cost_ratio(engine: DiffusionEngine, *, small: str, large: str) -> float:
    """Return the wall time of one picture by `small` over that by `large`, each alone: medians of interleaved runs."""
    seconds: dict[str, list[float]] = {small: [], large: []}
    for repeat in range(COST_REPEATS + 1):
        for model, taken in seconds.items():
            job = make_job(engine.models, "a large red circle on a white background", model=model, seed=repeat)
            started_s = time.perf_counter()
            paint(engine, [job])
            taken.append(time.perf_counter() - started_s)
    return median(seconds[small][1:]) / median(seconds[large][1:])


def sample_sheet(engine: DiffusionEngine, model: str, captions: Sequence[str], *, seed: int, columns: int) -> Pixels:
    """Return the pictures of `captions` side by side, `columns` in a row."""
    jobs = [
        make_job(engine.models, caption, model=model, seed=seed + number) for number, caption in enumerate(captions)
    ]
    pictures = [_as_array(picture) for picture in paint_all(engine, jobs)]
    rows = [np.concatenate(pictures[start : start + columns], axis=1) for start in range(0, len(pictures), columns)]
    sheet = np.concatenate(rows, axis=0)
    return Pixels(width=sheet.shape[1], height=sheet.shape[0], rgb=sheet.tobytes())


def _as_array(picture: Pixels) -> np.ndarray:
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
