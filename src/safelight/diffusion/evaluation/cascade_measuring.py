"""What models and gates yield over the same prompts: seconds of compute, good pictures, scores."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from safelight.core.pixels import Pixels
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.painted import paint_captions
from safelight.diffusion.folder import fingerprint
from safelight.diffusion.gates.judges import Judge
from safelight.diffusion.gates.scorer import load_gate
from safelight.diffusion.paint import make_job, paint

SEED: Final = 60_000
REPEATS: Final = 7

Numbers = NDArray[np.floating[Any]]
OnPicture = Callable[[str, int, int], None]
"""Called with a model, the pictures of it that are painted, and how many there will be."""


@dataclass(frozen=True, kw_only=True)
class PaintedPrompts:
    """What one model makes of all prompts.

    Attributes:
        seconds: of processor time, of one picture alone: a median.
        pictures: `(prompts, height, width, 3)`.
        good: `(prompts,)`, 1.0 where the judge holds the picture good enough, otherwise 0.0.
    """

    seconds: float
    pictures: NDArray[np.uint8]
    good: Numbers


def paint_by_each(
    folders: Mapping[str, Path],
    prompts: Sequence[str],
    judge: Judge,
    *,
    folder: Path,
    threads: int,
    on_picture: OnPicture,
) -> dict[str, PaintedPrompts]:
    """Paint `prompts` by each of the models in `folders`, one after another; `folder` keeps the pictures.

    Raises:
        ModelFolderError: if a model cannot be loaded.
        FolderTaken: if `folder` was used for other prompts.
    """
    painted = {}
    for model, weights in folders.items():
        engine = DiffusionEngine.load([weights], threads=threads)
        name = engine.models[0].name

        def note(done: int, total: int, model: str = model) -> None:
            on_picture(model, done, total)

        pictures = paint_captions(engine, name, prompts, seed=SEED, folder=folder / model, on_picture=note)
        good = [judge.look(each).suits(prompt) for each, prompt in zip(pictures, prompts, strict=True)]
        painted[model] = PaintedPrompts(
            seconds=_picture_seconds(engine, name, prompts[0]), pictures=pictures, good=np.array(good, float)
        )
    return painted


@dataclass(frozen=True, kw_only=True)
class ScoredPrompts:
    """What a gate says of the light pictures, `(prompts,)`, and the seconds of processor time of a look."""

    seconds: float
    scores: Numbers


def scored_by(
    path: Path, folders: Mapping[str, Path], painted: PaintedPrompts, prompts: Sequence[str]
) -> ScoredPrompts:
    """Score the light pictures by the gate in `path`; `folders` has its models.

    Raises:
        GateFileError: if it is no gate, or for other models.
    """
    gate = load_gate(path, {model: fingerprint(weights) for model, weights in folders.items()})
    scores = gate.scores_of(torch.from_numpy(painted.pictures), prompts)
    height, width = painted.pictures.shape[1:3]
    picture = Pixels(width=width, height=height, rgb=painted.pictures[0].tobytes())
    return ScoredPrompts(
        seconds=_median_seconds(lambda: gate.score([picture], [prompts[0]])), scores=np.asarray(scores.double())
    )


def _picture_seconds(engine: DiffusionEngine, model: str, prompt: str) -> float:
    return _median_seconds(lambda: paint(engine, [make_job(engine.models, prompt, model=model, seed=0)]))


def _median_seconds(work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(REPEATS):
        began_s = time.process_time()
        work()
        taken.append(time.process_time() - began_s)
    return median(taken)
