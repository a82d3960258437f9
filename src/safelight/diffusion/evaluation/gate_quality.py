"""How good a gate is: the table of `safelight score gate`."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.painted import paint_captions
from safelight.diffusion.evaluation.quality import Progress
from safelight.diffusion.gates.calibration import Numbers, auc, calibration_error
from safelight.diffusion.gates.judges import SCENE, Judge
from safelight.diffusion.gates.scorer import NetGate
from safelight.diffusion.paint import make_job, paint
from safelight.shapes.sampling import held_out_captions

SEED: Final = 40_000
COST_REPEATS: Final = 9
BATCHES: Final = (1, 16)


class GateQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How good a gate is on prompts that training did not use.

    Attributes:
        pictures: of the light model that were judged; `good` is the share of them that the judge holds good enough.
        auc: how likely a good picture scores higher than another one.
        calibration_error: mean distance of score and share of good pictures, over ten bins.
        cost: processor time of scoring over that of painting the picture, by pictures per call.
        deferral: share of the pictures that score below the threshold 0.5.
        good_above: share of good ones among the pictures that score at least 0.5; None if there are none.
    """

    gate: str
    pictures: int
    good: float
    auc: float
    calibration_error: float
    cost: dict[str, float]
    deferral: float
    good_above: float | None


def score_gate(
    engine: DiffusionEngine,
    gate: NetGate,
    judge: Judge,
    *,
    prompts: Sequence[str],
    folder: Path,
    on_picture: Progress,
) -> GateQuality:
    """Paint `prompts` with the gate's light model, and compare its scores with what the judge says."""
    model = gate.spec.light
    pictures = paint_captions(engine, model, prompts, seed=SEED, folder=folder, on_picture=on_picture)
    good = np.array([judge.look(each).suits(text) for each, text in zip(pictures, prompts, strict=True)])
    scores = gate_scores(gate, pictures, prompts)
    above = scores >= 0.5
    return GateQuality(
        gate=gate.spec.name,
        pictures=len(prompts),
        good=float(good.mean()),
        auc=auc(scores, good),
        calibration_error=calibration_error(scores, good),
        cost={str(count): _cost(engine, gate, prompts[0], count) for count in BATCHES},
        deferral=float(1 - above.mean()),
        good_above=float(good[above].mean()) if above.any() else None,
    )


def score_loaded(
    engine: DiffusionEngine, prompts: Sequence[str], *, folder: Path | None, on_picture: Progress
) -> GateQuality:
    """Judge the only gate that `engine` has loaded by the scene score; pictures are kept in `folder`."""
    (gate,) = engine.gates
    assert isinstance(gate, NetGate)
    if folder is not None:
        return score_gate(engine, gate, SCENE, prompts=prompts, folder=folder, on_picture=on_picture)
    with TemporaryDirectory() as own:
        return score_gate(engine, gate, SCENE, prompts=prompts, folder=Path(own), on_picture=on_picture)


def held_out(count: int) -> list[str]:
    """Return captions that training did not use, of one object and of two in turn."""
    rng = np.random.default_rng(SEED)
    pairs = zip(*(held_out_captions(rng, objects=objects, count=-(-count // 2)) for objects in (1, 2)), strict=True)
    return [caption for pair in pairs for caption in pair][:count]


def gate_scores(gate: NetGate, pictures: NDArray[np.uint8], prompts: Sequence[str]) -> Numbers:
    """Return the score of each picture, `(height, width, 3)`, with its prompt."""
    return np.asarray(gate.scores_of(torch.from_numpy(pictures), prompts).double())


def _cost(engine: DiffusionEngine, gate: NetGate, prompt: str, count: int) -> float:
    """Return the processor time of scoring `count` pictures at once over that of painting them: a median."""
    ratios = []
    for repeat in range(COST_REPEATS):
        jobs = [
            make_job(engine.models, prompt, model=gate.spec.light, seed=repeat * count + number)
            for number in range(count)
        ]
        began_s = time.process_time()
        pictures = paint(engine, jobs)
        painted_s = time.process_time()
        gate.score(pictures, [prompt] * count)
        ratios.append((time.process_time() - painted_s) / (painted_s - began_s))
    return median(ratios)
