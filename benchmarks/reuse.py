"""What reuse of earlier estimates saves and what it costs in quality, beside fewer steps at equal compute.

A stream of captions of `shapes-large`, whose nearest earlier captions are as similar as the published ones (20,000
queries of AccuScale's log, by band of the cosine): repeated captions, captions in other words, and captions with
changed words. Each caption is painted in full once; a strategy paints it again from what it has kept.

| strategy | what it does |
| --- | --- |
| `exact` | repeats a picture of the same caption |
| `nirvana` | and starts from the nearest caption's estimate by the published thresholds, whatever differs |
| `vetoed` | the same with veto rules: no start where colours, shapes, sizes, relations or counts differ |
| `ours` | veto rules, starts at the noise level `--noise`, and for all captions a step cache (`--step-cache`) |
| `N steps` | fewer steps for every caption: the control |

- `saved`: share of the steps that are not run. `loss`: facts in full less facts so painted, on 0 to 1.
- `saved_at_equal_loss_vs_steps`: what `ours` saves over what fewer steps save at the same loss.
- `lookup_p99_ms`, `recall_at_1`: of the index with `--entries` prompts, against a search in double precision.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from safelight.core.job import Job
from safelight.core.pixels import Pixels
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job
from safelight.latents.entry import Entry
from safelight.latents.index import ExactIndex
from safelight.latents.limits import CAPTURES
from safelight.latents.plan import started
from safelight.latents.predictor import FULL, FixedThresholds, LevelPredictor, Neighbour, StartChoice, StartQuery
from safelight.latents.vectors import vector_of
from safelight.latents.veto import veto
from safelight.local.model_folders import SHIPPED_MODELS
from safelight.shapes.caption import caption_of, parse
from safelight.shapes.sampling import draw_scene
from safelight.shapes.score import score
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, SIZES

MODEL = "shapes-large"
BANDS = ((0.0, 0.65, 0.225), (0.65, 0.75, 0.426), (0.75, 0.85, 0.213), (0.85, 0.90, 0.046), (0.90, 0.95, 0.032))
"""Least and highest similarity, and share; the rest is above, more than half of it the same caption."""

ABOVE, REPEATED = 0.95, 0.55
FILLERS = (
    "please",
    "paint",
    "a picture of",
    "draw",
    "an image with",
    "flat",
    "simple",
    "in the style of a sign",
    "now",
)
ALIKE = (SHAPES, tuple(COLOURS), tuple(SIZES), tuple(BACKGROUNDS))
STEPS = (20, 15, 12, 10, 8)
TRIES = 400


class Noise:
    """Starts at one noise level from neighbours that are similar at all, and lets steps take over earlier ones."""

    name = "ours"

    def __init__(self, noise: float, step_cache: float) -> None:
        self._noise = noise
        self.step_cache = step_cache

    def choose(self, query: StartQuery) -> StartChoice:
        return StartChoice(noise=self._noise) if query.neighbour.similarity > FixedThresholds().steps[-1][0] else FULL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--captions", type=int, default=300)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--noise", type=float, default=0.65, help="the least noise level of a start of `ours`")
    parser.add_argument("--step-cache", type=float, default=0.2, help="the tolerance of the step cache of `ours`")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    captions = stream(rng, arguments.captions)
    result = painted(captions, Noise(arguments.noise, arguments.step_cache)) | looked_up(rng, arguments.entries)
    if arguments.json:
        print(json.dumps(result))
        return
    for name in result["saved"]:
        print(f"{name:10} saves {result['saved'][name]:6.1%}   loses {result['loss'][name]:+.4f}")
    for key in ("saved_at_equal_loss_vs_steps", "lookup_p99_ms", "recall_at_1"):
        print(f"{key:30} {result[key]}")


def stream(rng: np.random.Generator, count: int) -> list[str]:
    """Return captions whose nearest earlier ones have the published similarities, as far as captions can."""
    captions, index = [], ExactIndex()
    shares = [share for _, _, share in BANDS]
    while len(captions) < count:
        band = int(rng.choice(len(BANDS) + 1, p=[*shares, 1 - sum(shares)]))
        caption = drawn(rng, captions, index, band)
        captions.append(caption)
        if caption not in captions[:-1]:
            index.add(str(len(captions) - 1), vector_of(caption))
    return captions


def drawn(rng: np.random.Generator, captions: Sequence[str], index: ExactIndex, band: int) -> str:
    """Return a caption whose similarity to the nearest earlier one is in a band, or the last one tried."""
    low, high = (ABOVE, 1.0) if band == len(BANDS) else BANDS[band][:2]
    if captions and band == len(BANDS) and rng.random() < REPEATED:
        return captions[int(rng.integers(len(captions)))]
    caption = ""
    for _ in range(TRIES):
        fresh = caption_of(draw_scene(rng, objects=int(rng.integers(1, 3))).description)
        is_new = not captions or rng.random() < 0.3
        caption = fresh if is_new else varied(rng, captions[int(rng.integers(len(captions)))])
        found = index.search(vector_of(caption), 1)
        if found and caption not in captions and low < found[0][1] <= high:
            break
    return caption


def varied(rng: np.random.Generator, caption: str) -> str:
    """Return a caption in other words, with up to three known words changed."""
    words = caption.split()
    known = [place for place, word in enumerate(words) if any(word in alike for alike in ALIKE)]
    for _ in range(int(rng.integers(0, 4))):
        place = known[int(rng.integers(len(known)))]
        alike = next(alike for alike in ALIKE if words[place] in alike)
        words[place] = alike[int(rng.integers(len(alike)))]
    fillers = rng.choice(FILLERS, size=int(rng.integers(0, 4)), replace=False)
    return " ".join([*fillers, *words])


def painted(captions: Sequence[str], ours: Noise) -> dict[str, object]:
    """Paint the stream with each strategy."""
    engine = DiffusionEngine.load([SHIPPED_MODELS / MODEL])
    index, entries = ExactIndex(), {}
    kept: dict[str, tuple[float, float]] = {}
    saved: dict[str, list[float]] = {}
    facts: dict[str, list[float]] = {}
    similarities = []
    with Progress(disable=not sys.stderr.isatty()) as bar:
        for number, caption in bar.track(list(enumerate(captions)), description="painting"):
            found = index.search(vector_of(caption), 1)
            neighbour = entries[found[0][0]] if found else None
            likeness = found[0][1] if found else 0.0
            similarities.append(likeness)
            full, entry = in_full(engine, caption, number)
            if caption not in kept:
                index.add(str(number), vector_of(caption))
                entries[str(number)] = entry
            own = share(full, caption)
            strategies: dict[str, tuple[LevelPredictor | None, bool]] = {
                "exact": (None, True),
                "nirvana": (FixedThresholds(), False),
                "vetoed": (FixedThresholds(), True),
                "ours": (ours, True),
            }
            for name, (predictor, has_veto) in strategies.items():
                part, value = 0.0, own
                if caption in kept:
                    part, value = 1.0, kept[caption][1]
                elif predictor is not None:
                    query = Query(caption, number, neighbour, likeness, own)
                    cache = ours.step_cache if name == "ours" else 0.0
                    part, value = reused(engine, query, predictor, has_veto=has_veto, step_cache=cache)
                saved.setdefault(name, []).append(part)
                facts.setdefault(name, []).append(value)
            for steps in STEPS:
                picture = paint(engine, level_of(job_of(engine, caption, number), steps=steps))
                saved.setdefault(f"{steps} steps", []).append(1 - steps / entry.steps)
                facts.setdefault(f"{steps} steps", []).append(share(picture, caption))
            facts.setdefault("full", []).append(own)
            kept.setdefault(caption, (1.0, own))
    means = {name: round(float(np.mean(each)), 4) for name, each in saved.items()}
    loss = {name: round(float(np.mean(facts["full"]) - np.mean(facts[name])), 4) for name in means}
    return {
        "captions": len(captions),
        "similarity": [round(float(np.mean(np.array(similarities) > low)), 3) for low in (0.65, 0.75, 0.85, 0.9, 0.95)],
        "facts_full": round(float(np.mean(facts["full"])), 4),
        "saved": means,
        "loss": loss,
        "saved_at_equal_loss_vs_steps": at_equal_loss(means, loss),
    }


def at_equal_loss(saved: dict[str, float], loss: dict[str, float]) -> float | None:
    """Return what `ours` saves over what fewer steps save without losing more; None if those save nothing so."""
    steps = [saved[name] for name in saved if name.endswith("steps") and loss[name] <= max(0.0, loss["ours"])]
    return round(saved["ours"] / max(steps), 2) if steps else None


class Query(NamedTuple):
    """A caption, its number, the nearest earlier picture with its similarity, and its facts in full."""

    caption: str
    number: int
    neighbour: Entry | None
    likeness: float
    own: float


def reused(
    engine: DiffusionEngine, query: Query, predictor: LevelPredictor, *, has_veto: bool, step_cache: float
) -> tuple[float, float]:
    """Return the share of steps that are not computed, and the facts of the picture; those in full if all are."""
    job, near, level = job_of(engine, query.caption, query.number), query.neighbour, None
    if near is not None and not (has_veto and veto(query.caption, near.prompt) is not None):
        known = Neighbour(prompt=near.prompt, similarity=query.likeness, noises=near.noises)
        asked = StartQuery(prompt=query.caption, neighbour=known, model=MODEL, noises=near.schedule)
        level = started(job.level, near, predictor.choose(asked), near.schedule)
    if level is None and not step_cache:
        return 0.0, query.own
    level = msgspec.structs.replace(level or job.level, step_cache=step_cache)
    taken: list[bool] = []
    picture = paint(
        engine, msgspec.structs.replace(job, level=level), after=lambda: taken.append(engine.reused_step(job.id))
    )
    return (level.first_step + sum(taken)) / level.steps, share(picture, query.caption)


def job_of(engine: DiffusionEngine, caption: str, number: int) -> Job:
    return make_job(engine.models, caption, model=MODEL, seed=70_000 + number)


def level_of(job: Job, **changes: object) -> Job:
    return msgspec.structs.replace(job, level=msgspec.structs.replace(job.level, **changes))


def in_full(engine: DiffusionEngine, caption: str, number: int) -> tuple[Pixels, Entry]:
    """Paint a caption in full, and keep its estimates."""
    captured = []
    job = level_of(job_of(engine, caption, number), captures=CAPTURES)
    picture = paint(engine, job, after=lambda: captured.append(engine.captured(job.id)))
    found = [each for each in captured if each is not None]
    return picture, Entry(
        id=str(number), owner="", scope="private", partition="", exact_key="", prompt=caption, model=MODEL,
        width=64, height=64, seed=job.request.seed, steps=job.level.steps, created_s=0.0, compute_s=0.0, size_bytes=0,
        noises=tuple(each.noise for each in found), latents_ids=tuple(each.handle.id for each in found),
        schedule=found[0].noises,
    )  # fmt: skip


def paint(engine: DiffusionEngine, job: Job, *, after: Callable[[], object] = lambda: None) -> Pixels:
    engine.begin([job])
    for _ in range(job.level.steps_to_run):
        engine.step([job.id])
        after()
    return engine.finish([job.id])[0]


def share(picture: Pixels, caption: str) -> float:
    """Return the share of the caption's facts that hold."""
    array = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
    return score(array, parse(caption)).share


def looked_up(rng: np.random.Generator, count: int) -> dict[str, float]:
    """Measure the index: the time of a search, and how often it finds the nearest one."""
    prompts = list(
        {f"{varied(rng, caption_of(draw_scene(rng, objects=2).description))} {n}": None for n in range(count)}
    )
    index, vectors = ExactIndex(), np.stack([vector_of(prompt) for prompt in prompts])
    for number, vector in enumerate(vectors):
        index.add(str(number), vector)
    exact: NDArray[np.float64] = vectors.astype(np.float64)
    seconds, hits = [], 0
    for number in range(300):
        query = vector_of(varied(rng, prompts[int(rng.integers(count))]))
        began_s = time.perf_counter()
        (found,) = index.search(query, 1)
        seconds.append(time.perf_counter() - began_s)
        cosines = exact @ query.astype(np.float64)
        hits += bool(np.isclose(cosines[int(found[0])], cosines.max(), atol=1e-6)) if number < 300 else 0
    return {
        "entries": count,
        "lookup_p99_ms": round(1000 * float(np.quantile(seconds, 0.99)), 2),
        "recall_at_1": hits / len(seconds),
    }


if __name__ == "__main__":
    main()
