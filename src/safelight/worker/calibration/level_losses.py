"""What levels lose against the full run, over pairs of a caption and an earlier one: what a level predictor learns."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from safelight.core.job import Job
from safelight.core.pixels import Pixels
from safelight.core.source import LatentsHandle
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.painted import FolderTaken
from safelight.diffusion.paint import LARGEST_BATCH, make_job, paint_all
from safelight.latents.limits import CAPTURES
from safelight.reports.atomic_files import write_atomically
from safelight.shapes.caption import caption_of, parse
from safelight.shapes.sampling import draw_scene, is_held_out
from safelight.shapes.score import score
from safelight.worker.calibration.starts import EARLIER

EARLIER_SEED: Final = 1 << 20
"""Earlier pictures have other seeds than those that start from them."""

STEP_SHARES: Final = (0.75, 0.5, 0.35)
"""Of the model's own steps: the levels that run fewer of them."""

KINDS: Final = (("same", 0.7), ("vaguer", 0.1), ("recoloured", 0.1), ("unrelated", 0.1))
"""Kinds of earlier captions, and how often each is drawn."""

FILLERS: Final = ("", "a picture of ", "please paint ", "an image that shows ", "draw me ", "a nice clean drawing of ")
"""What people write before a caption; the models do not read it."""


class LevelLosses(msgspec.Struct, frozen=True, kw_only=True):
    """What each level lost for one pair.

    Attributes:
        prompt, earlier: of the picture, and of the one that it may start from.
        starts: pairs of a noise level and the loss of a start from there.
        fewer: pairs of a number of steps and the loss of running only so many.

    A loss is the share of the caption's facts that hold in the full run's picture of the same seed, less that of the
    level's picture; 0 if the level's is no worse.
    """

    prompt: str
    earlier: str
    starts: tuple[tuple[float, float], ...]
    fewer: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A prompt and an earlier one; pictures of the prompt have the seed `number`."""

    number: int
    prompt: str
    earlier: str


def draw_pairs(count: int, *, first: int = 0, held_out: bool = False) -> list[Pair]:
    """Return pairs of captions of the embedded domain, held out of training or not, the same ones for a number."""
    return [_pair(number, held_out=held_out) for number in range(first, first + count)]


def measure(
    engine: DiffusionEngine,
    pairs: Sequence[Pair],
    *,
    folder: Path,
    note: Callable[[int, int], None] = lambda done, total: None,
) -> list[LevelLosses]:
    """Paint every pair at every level with the only model of an engine; what `folder` has already is not painted again.

    Raises:
        FolderTaken: if the folder is of another model or other pairs.
    """
    (spec,) = engine.models
    folder.mkdir(parents=True, exist_ok=True)
    found: list[LevelLosses] = []
    for first in range(0, len(pairs), LARGEST_BATCH):
        part = pairs[first : first + LARGEST_BATCH]
        said = f"{spec.name}\0{spec.weights}\0" + "\0".join(f"{each.prompt}\0{each.earlier}" for each in part)
        digest = hashlib.sha256(said.encode()).hexdigest()[:12]
        path = folder / f"{part[0].number:06d}-{digest}.json"
        if not path.exists():
            if any(folder.glob(f"{part[0].number:06d}-*.json")):
                raise FolderTaken(folder)
            write_atomically(path, _Writer(_measured(engine, part)))
        found += msgspec.json.decode(path.read_bytes(), type=list[LevelLosses])
        note(len(found), len(pairs))
    return found


def schedule_of(engine: DiffusionEngine) -> tuple[float, ...]:
    """Return the noise level at which each step of the full run of the only model of an engine starts."""
    job = _job(engine, Pair(number=0, prompt="", earlier=""), is_earlier=True)
    engine.begin([job])
    while (captured := engine.captured(job.id)) is None:
        engine.step([job.id])
    engine.drop(job.id)
    engine.drop_latents(captured.handle)
    return captured.noises


@dataclass(frozen=True)
class _Writer:
    losses: Sequence[LevelLosses]

    def __call__(self, path: Path) -> None:
        path.write_bytes(msgspec.json.encode(self.losses))


def _pair(number: int, *, held_out: bool) -> Pair:
    rng = np.random.default_rng([EARLIER_SEED, number, int(held_out)])
    description = draw_scene(rng, objects=1 + number % 2).description
    while is_held_out(description) != held_out:
        description = draw_scene(rng, objects=1 + number % 2).description
    caption = caption_of(description)
    kinds, shares = [kind for kind, _ in KINDS], [share for _, share in KINDS]
    earlier = EARLIER[str(rng.choice(kinds, p=shares))](rng, caption)
    before, after = (str(each) for each in rng.choice(FILLERS, size=2))
    return Pair(number=number, prompt=before + caption, earlier=after + earlier)


def _measured(engine: DiffusionEngine, part: Sequence[Pair]) -> list[LevelLosses]:
    (spec,) = engine.models
    full = _scores(engine, [_job(engine, pair) for pair in part], part)
    starts: list[list[tuple[float, float]]] = [[] for _ in part]
    for noise, (first_step, handles) in _captured(engine, part).items():
        jobs = [
            _job(engine, pair, start=handle, first_step=first_step) for pair, handle in zip(part, handles, strict=True)
        ]
        for own, before, after in zip(starts, full, _scores(engine, jobs, part), strict=True):
            own.append((noise, max(0.0, before - after)))
        for handle in handles:
            engine.drop_latents(handle)
    fewer: list[list[tuple[int, float]]] = [[] for _ in part]
    for steps in sorted({max(1, round(spec.steps * share)) for share in STEP_SHARES} - {spec.steps}, reverse=True):
        jobs = [_job(engine, pair, steps=steps) for pair in part]
        for few, before, after in zip(fewer, full, _scores(engine, jobs, part), strict=True):
            few.append((steps, max(0.0, before - after)))
    return [
        LevelLosses(prompt=pair.prompt, earlier=pair.earlier, starts=tuple(sorted(own, reverse=True)), fewer=tuple(few))
        for pair, own, few in zip(part, starts, fewer, strict=True)
    ]


def _captured(engine: DiffusionEngine, part: Sequence[Pair]) -> Mapping[float, tuple[int, list[LatentsHandle]]]:
    """Paint the earlier pictures, and return by noise level the step that starts there, and what was captured."""
    (spec,) = engine.models
    jobs = [_job(engine, pair, is_earlier=True) for pair in part]
    ids = [job.id for job in jobs]
    engine.begin(jobs)
    handles: dict[float, tuple[int, list[LatentsHandle]]] = {}
    for _ in range(spec.steps):
        engine.step(ids)
        for job in jobs:
            captured = engine.captured(job.id)
            first_step = 0 if captured is None else engine.step_at(job, captured.noise)
            if captured is not None and 0 < first_step < spec.steps:
                handles.setdefault(captured.noise, (first_step, []))[1].append(captured.handle)
    for request_id in ids:
        engine.drop(request_id)
    return handles


def _job(
    engine: DiffusionEngine,
    pair: Pair,
    *,
    steps: int | None = None,
    start: LatentsHandle | None = None,
    first_step: int = 0,
    is_earlier: bool = False,
) -> Job:
    (spec,) = engine.models
    prompt, seed = (pair.earlier, EARLIER_SEED + pair.number) if is_earlier else (pair.prompt, pair.number)
    job = make_job(engine.models, prompt, model=spec.name, seed=seed)
    level = msgspec.structs.replace(
        job.level,
        steps=steps or job.level.steps,
        start=start,
        first_step=first_step,
        captures=CAPTURES if is_earlier else (),
    )
    return Job(request=job.request, level=level)


def _scores(engine: DiffusionEngine, jobs: Sequence[Job], part: Sequence[Pair]) -> list[float]:
    return list(_judged(paint_all(engine, jobs), part))


def _judged(pictures: Iterator[Pixels], part: Sequence[Pair]) -> Iterator[float]:
    for picture, pair in zip(pictures, part, strict=True):
        pixels = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
        yield score(pixels, parse(pair.prompt)).share
