"""Building cascades: paints, trains a gate for each sensible pair, measures, and keeps what none beats."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from rich.progress import Progress, TaskID

from safelight.cascade.construction import (
    CascadePoint,
    GateMeasured,
    ModelMeasured,
    best_of_each_pair,
    cascade_points,
    sensible_pairs,
    worth_having,
)
from safelight.cascade.router import Router
from safelight.cli.gates import router_of
from safelight.diffusion.evaluation.cascade_measuring import PaintedPrompts, paint_by_each, scored_by
from safelight.diffusion.gates.judges import Judge
from safelight.diffusion.training.cascade_gate import GatePlan, make_gate
from safelight.profiles.cascade_file import BuiltCascade, write_cascades
from safelight.profiles.gate_file import read_gate

MEASURED_SHARE: Final = 0.2
"""Of the prompts, the last ones, that measure models and gates, and train nothing."""


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """Which cascades are built of what; `folder` keeps pictures and checkpoints, and `output` is the file."""

    folders: Mapping[str, Path]
    prompts: Sequence[str]
    judge: Judge
    folder: Path
    output: Path
    steps: int
    threads: int


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured and kept.

    Attributes:
        models: seconds of compute a picture and share of good pictures of each model alone.
        tried: the pairs that a gate was trained for.
        cascades: those of the file, the cheapest first.
        frontier: all points of cascades that neither a model alone nor another point beats.
    """

    models: dict[str, dict[str, float]]
    tried: list[tuple[str, str]]
    cascades: list[BuiltCascade]
    frontier: list[dict[str, float | str | None]]


def build_cascades(plan: BuildPlan, progress: Progress) -> Built:
    """Build cascades and write their file, if any is worth having; a second call goes on where the first one stopped.

    Gates go to a folder beside the file. The prompts that measure train no gate; they choose the thresholds.

    Raises:
        ModelFolderError: if a model cannot be loaded.
        FolderTaken: if `plan.folder` was used for other prompts.
    """
    border = len(plan.prompts) - max(1, round(len(plan.prompts) * MEASURED_SHARE))
    measuring = plan.prompts[border:]
    painted = _painted(plan, measuring, progress)
    models = {name: ModelMeasured(seconds=each.seconds, qualities=each.good) for name, each in painted.items()}
    pairs = sensible_pairs(models)
    gates = {pair: _trained(plan, pair, plan.prompts[:border], progress) for pair in pairs}
    points = [
        point
        for pair, path in gates.items()
        for point in cascade_points(*pair, models, _measured(plan, path, painted[pair[0]], measuring))
    ]
    kept = worth_having(models, points)
    cascades = [_built(each, gates[each.light, each.heavy]) for each in best_of_each_pair(kept)]
    if cascades:
        write_cascades(cascades, plan.output)
    return Built(
        models={
            name: {"seconds": each.seconds, "quality": float(each.qualities.mean())} for name, each in models.items()
        },
        tried=pairs,
        cascades=cascades,
        frontier=[_point(each) for each in kept],
    )


def _painted(plan: BuildPlan, prompts: Sequence[str], progress: Progress) -> dict[str, PaintedPrompts]:
    tasks: dict[str, TaskID] = {}

    def note(model: str, done: int, total: int) -> None:
        if model not in tasks:
            tasks[model] = progress.add_task(model, total=total)
        progress.update(tasks[model], completed=done)

    folder = plan.folder / "measured"
    return paint_by_each(plan.folders, prompts, plan.judge, folder=folder, threads=plan.threads, on_picture=note)


def _trained(plan: BuildPlan, pair: tuple[str, str], prompts: Sequence[str], progress: Progress) -> Path:
    """Train the gate of a pair; gates of one light model share its pictures and its network."""
    light, heavy = pair
    gates = plan.output.parent / f"{plan.output.stem}-gates"
    gates.mkdir(exist_ok=True)
    path = gates / f"{light}-{heavy}.safetensors"
    gate = GatePlan(
        name=f"{light}-{heavy}",
        light=plan.folders[light],
        heavy=plan.folders[heavy],
        prompts=prompts,
        folder=plan.folder / light,
        steps=plan.steps,
        threads=plan.threads,
        judge=plan.judge,
        train_router=router_of,
    )
    make_gate(gate, path, progress)
    return path


def _measured(plan: BuildPlan, path: Path, light: PaintedPrompts, prompts: Sequence[str]) -> GateMeasured:
    scored = scored_by(path, plan.folders, light, prompts)
    router = Router.from_arrays({name: np.asarray(array, np.float32) for name, array in read_gate(path).router.items()})
    assert router is not None
    return GateMeasured(
        seconds=scored.seconds, scores=scored.scores, hardness=np.array([router.hardness(each) for each in prompts])
    )


def _built(point: CascadePoint, gate: Path) -> BuiltCascade:
    return BuiltCascade(
        name=f"{point.light}-{point.heavy}",
        light=point.light,
        heavy=point.heavy,
        gate=gate,
        threshold=point.threshold,
        router_threshold=_router_threshold(point),
        share=point.share,
        seconds=point.seconds,
        quality=point.quality,
    )


def _point(point: CascadePoint) -> dict[str, float | str | None]:
    return {**vars(point), "router_threshold": _router_threshold(point)}


def _router_threshold(point: CascadePoint) -> float | None:
    return point.router_threshold if math.isfinite(point.router_threshold) else None
