"""Measures the quality of levels, of starts from earlier pictures, and of a gate's choices, by the scene score."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
import numpy as np

from safelight.core.gate_scorer import GateScorer
from safelight.core.job import Job
from safelight.core.level import Level
from safelight.core.pixels import Pixels
from safelight.core.source import LatentsHandle
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import LARGEST_BATCH, make_job, paint
from safelight.latents.vectors import similarity, vector_of
from safelight.profiles.calibration import QualityFigures
from safelight.profiles.parts import Curve, LevelQuality, SimilarityQuality
from safelight.shapes.caption import parse
from safelight.shapes.sampling import held_out_captions
from safelight.shapes.score import score
from safelight.worker.calibration.starts import EARLIER

SEED: Final = 50_000
EARLIER_SEED: Final = 70_000
"""Earlier pictures have other seeds than those that start from them."""

STEP_SHARES: Final = (0.2, 0.3, 0.5, 1.0, 2.0)
"""Of a model's default steps: the levels that are measured."""

NOISES: Final = (0.9, 0.75, 0.5)
"""The noise levels from which pictures start."""

THRESHOLDS: Final = tuple(number / 20 for number in range(21))
"""Of a gate."""

Note = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Cascading:
    """What is measured of a gate after the model.

    Attributes:
        gate: that looks at the model's pictures.
        load_heavy: loads the model that paints again, as the only one of its engine.
    """

    gate: GateScorer
    load_heavy: Callable[[], DiffusionEngine]


@dataclass(kw_only=True)
class _Measured:
    """What was found so far: qualities by steps and first step, and by kind of earlier caption."""

    levels: dict[int, list[float]] = field(default_factory=dict)
    starts: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    similarities: dict[str, list[float]] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    heavy: list[float] = field(default_factory=list)


class QualityMeasurement:
    """Paints held-out captions with the only model of an engine, and judges the pictures.

    The quality of a picture is the share of its caption's facts that hold.
    """

    def __init__(
        self,
        engine: DiffusionEngine,
        *,
        pictures: int,
        steps: Sequence[int] = (),
        cascading: Cascading | None = None,
        note: Note,
    ) -> None:
        """Take an engine with one model of the shapes.

        Args:
            engine: with one model.
            pictures: of each level.
            steps: the levels; without any, `STEP_SHARES` of the model's own.
            cascading: a gate to measure.
            note: gets how many batches are over, and how many there are.
        """
        self._engine = engine
        (self._spec,) = engine.models
        self._captions = _captions(pictures)
        own = self._spec.steps
        self._steps = sorted({own, *(steps or (max(1, round(own * share)) for share in STEP_SHARES))})
        self._cascading = cascading
        self._note = note
        self._measured = _Measured()
        self._heavy: DiffusionEngine | None = None

    def figures(self) -> QualityFigures:
        """Measure everything, and return it."""
        plan = list(self._plan())
        for done, measure in enumerate(plan):
            self._note(done, len(plan))
            measure()
        self._note(len(plan), len(plan))
        own = self._measured.levels[self._spec.steps]
        deferral, mix_quality = ((), ()) if self._cascading is None else self._gate_curves()
        error = float(np.std(own) / np.sqrt(len(own)))
        return QualityFigures(
            quality_metric=(
                f"share of the facts of held-out captions that hold (scene score), mean of {len(own)} pictures with a "
                f"standard error of {error:.3f} at {self._spec.steps} steps; higher is better"
            ),
            quality=(*self._level_qualities(), *self._start_qualities()),
            similarity=tuple(self._similarity_curves()),
            deferral=deferral,
            mix_quality=mix_quality,
        )

    def _plan(self) -> Iterator[Callable[[], None]]:
        numbered = list(enumerate(self._captions))
        parts = [numbered[first : first + LARGEST_BATCH] for first in range(0, len(numbered), LARGEST_BATCH)]
        for steps in self._steps:
            for part in parts:
                yield partial(self._paint_level, steps, part)
        for kind in EARLIER:
            for part in parts:
                yield partial(self._paint_starts, kind, part)
        if self._cascading is not None:
            for part in parts:
                yield partial(self._paint_heavy, part)

    def _paint_level(self, steps: int, part: Sequence[tuple[int, str]]) -> None:
        pictures = paint(self._engine, [self._job(number, caption, steps=steps) for number, caption in part])
        self._measured.levels.setdefault(steps, []).extend(_judged(pictures, part))
        if self._cascading is not None and steps == self._spec.steps:
            self._measured.scores += self._cascading.gate.score(pictures, [caption for _, caption in part])

    def _paint_heavy(self, part: Sequence[tuple[int, str]]) -> None:
        assert self._cascading is not None
        if self._heavy is None:
            self._heavy = self._cascading.load_heavy()
        (spec,) = self._heavy.models
        jobs = [make_job(self._heavy.models, caption, model=spec.name, seed=SEED + number) for number, caption in part]
        self._measured.heavy += _judged(paint(self._heavy, jobs), part)

    def _paint_starts(self, kind: str, part: Sequence[tuple[int, str]]) -> None:
        """Paint earlier captions, and then the new ones from what was captured of them."""
        earlier = [EARLIER[kind](np.random.default_rng([EARLIER_SEED, number]), caption) for number, caption in part]
        likeness = [similarity(vector_of(old), vector_of(new)) for old, (_, new) in zip(earlier, part, strict=True)]
        self._measured.similarities.setdefault(kind, []).extend(likeness)
        handles = self._captured([(number, old) for (number, _), old in zip(part, earlier, strict=True)])
        for first_step, held in handles.items():
            jobs = [
                self._job(number, caption, steps=self._spec.steps, first_step=first_step, start=handle)
                for (number, caption), handle in zip(part, held, strict=True)
            ]
            self._measured.starts.setdefault((first_step, kind), []).extend(_judged(paint(self._engine, jobs), part))
            for handle in held:
                self._engine.drop_latents(handle)

    def _captured(self, part: Sequence[tuple[int, str]]) -> dict[int, list[LatentsHandle]]:
        """Paint captions, and return what was captured of each by the step that it replaces all earlier ones of."""
        jobs = [
            self._job(number, caption, steps=self._spec.steps, captures=NOISES, seed=EARLIER_SEED)
            for number, caption in part
        ]
        ids = [job.id for job in jobs]
        self._engine.begin(jobs)
        handles: dict[int, list[LatentsHandle]] = {}
        for _ in range(self._spec.steps):
            self._engine.step(ids)
            for job in jobs:
                captured = self._engine.captured(job.id)
                first_step = 0 if captured is None else self._engine.step_at(job, captured.noise)
                if captured is not None and 0 < first_step < self._spec.steps:
                    handles.setdefault(first_step, []).append(captured.handle)
        for request_id in ids:
            self._engine.drop(request_id)
        return handles

    def _job(
        self,
        number: int,
        caption: str,
        *,
        steps: int,
        seed: int = SEED,
        first_step: int = 0,
        start: LatentsHandle | None = None,
        captures: tuple[float, ...] = (),
    ) -> Job:
        job = make_job(self._engine.models, caption, model=self._spec.name, seed=seed + number)
        level: Level = msgspec.structs.replace(
            job.level, steps=steps, first_step=first_step, start=start, captures=captures
        )
        return Job(request=job.request, level=level)

    def _level_qualities(self) -> Iterator[LevelQuality]:
        for steps in self._steps:
            yield LevelQuality(steps=steps, quality=_mean(self._measured.levels[steps]))

    def _start_qualities(self) -> Iterator[LevelQuality]:
        """Yield the qualities of starts from a picture of the same caption."""
        for (first_step, kind), qualities in sorted(self._measured.starts.items()):
            if kind == "same":
                yield LevelQuality(steps=self._spec.steps, first_step=first_step, quality=_mean(qualities))

    def _similarity_curves(self) -> Iterator[SimilarityQuality]:
        similarities = {kind: _mean(values) for kind, values in self._measured.similarities.items()}
        for first_step in sorted({first_step for first_step, _ in self._measured.starts}):
            points = {
                similarities[kind]: _mean(self._measured.starts[first_step, kind])
                for kind in similarities
                if (first_step, kind) in self._measured.starts
            }
            yield SimilarityQuality(steps=self._spec.steps, first_step=first_step, curve=tuple(sorted(points.items())))

    def _gate_curves(self) -> tuple[Curve, Curve]:
        """Return the deferral by threshold, and the quality by the share of pictures that stay the light model's."""
        scores = np.array(self._measured.scores)
        light, heavy = np.array(self._measured.levels[self._spec.steps]), np.array(self._measured.heavy)
        deferral, mixes = [], {0.0: float(heavy.mean()), 1.0: float(light.mean())}
        for threshold in THRESHOLDS:
            is_light = scores >= threshold
            deferral.append((threshold, float(1 - is_light.mean())))
            mixes[float(is_light.mean())] = float(np.where(is_light, light, heavy).mean())
        return tuple(deferral), tuple(sorted(mixes.items()))


def _captions(pictures: int) -> list[str]:
    """Return held-out captions of one object and of two in turn."""
    rng = np.random.default_rng(SEED)
    half = (pictures + 1) // 2
    one, two = (held_out_captions(rng, objects=objects, count=half) for objects in (1, 2))
    return [caption for pair in zip(one, two, strict=True) for caption in pair][:pictures]


def _judged(pictures: Sequence[Pixels], part: Sequence[tuple[int, str]]) -> list[float]:
    return [
        score(np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3), parse(caption)).share
        for picture, (_, caption) in zip(pictures, part, strict=True)
    ]


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 6)
