"""Everything from prompts to the file of a gate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.painted import paint_captions
from safelight.diffusion.folder import fingerprint
from safelight.diffusion.gates.calibration import auc, best_share, calibration_error, deferral_curve
from safelight.diffusion.gates.judges import SCENE, Judge
from safelight.diffusion.training.gates import GateRecipe, judged, train_gate
from safelight.profiles.gate_file import Arrays, GateCard, GateFile, write_gate
from safelight.shapes.caption import caption_of
from safelight.shapes.sampling import draw_scene, is_held_out, vary

SEED: Final = 1
VARIED_SHARE: Final = 0.25
"""Of the captions from which words are left out."""

HEAVY_PICTURES: Final = 256
"""The heavy model paints so many of the prompts that calibrate, to learn how often it is good enough."""


TrainRouter = Callable[[Sequence[str], NDArray[np.bool_], Progress], Arrays]
"""From prompts, and whether the light picture of each was good enough, to the arrays of a router."""


@dataclass(frozen=True, kw_only=True)
class GatePlan:
    """Which gate is made of what.

    Attributes:
        folder: keeps pictures and checkpoints; gates of one light model, its prompts and its judge may share it.
        train_router: makes the router beside the gate; None for no router.
    """

    name: str
    light: Path
    heavy: Path
    prompts: Sequence[str]
    folder: Path
    steps: int
    threads: int = 1
    judge: Judge = SCENE
    train_router: TrainRouter | None = None


def make_gate(plan: GatePlan, output: Path, progress: Progress) -> GateCard:
    """Paint, judge, train, calibrate and write a gate; a second call goes on where the first one stopped.

    Raises:
        ModelFolderError: if a model cannot be loaded.
        FolderTaken: if the folder was used for another gate.
    """
    recipe = GateRecipe()
    recipe = replace(recipe, fit=replace(recipe.fit, steps=plan.steps), processes=plan.threads)
    pictures = _painted(plan, plan.light, plan.prompts, SEED, progress)
    lessons = judged(pictures, plan.prompts, plan.judge, processes=plan.threads)
    trained = train_gate(lessons, recipe, plan.folder, progress)
    held = plan.prompts[-len(trained.suits) :]
    heavy_pictures = _painted(plan, plan.heavy, held[:HEAVY_PICTURES], SEED, progress)
    heavy_good = [plan.judge.look(each).suits(text) for each, text in zip(heavy_pictures, held, strict=False)]
    probabilities = trained.line.probabilities(trained.logits)
    card = GateCard(
        name=plan.name,
        light=plan.light.resolve().name,
        heavy=plan.heavy.resolve().name,
        light_weights=fingerprint(plan.light),
        heavy_weights=fingerprint(plan.heavy),
        slope=trained.line.slope,
        intercept=trained.line.intercept,
        deferral=deferral_curve(probabilities),
        best_share=best_share(probabilities, float(np.mean(heavy_good))),
        judge=plan.judge.name,
        captions=len(plan.prompts) - len(trained.suits),
        auc=auc(probabilities, trained.suits),
        calibration_error=calibration_error(probabilities, trained.suits),
    )
    net = {name: value.half().numpy() for name, value in trained.net.state_dict().items()}
    router = plan.train_router(plan.prompts, lessons.suits, progress) if plan.train_router else {}
    write_gate(GateFile(card=card, net=net, router=router), output)
    return card


def training_captions(count: int) -> list[str]:
    """Return captions of the embedded domain that are not held out, of one object and of two in turn."""
    rng = np.random.default_rng(SEED)
    captions: list[str] = []
    while len(captions) < count:
        description = draw_scene(rng, objects=1 + len(captions) % 2).description
        if not is_held_out(description):
            is_varied = rng.random() < VARIED_SHARE
            captions.append(caption_of(vary(rng, description) if is_varied else description))
    return captions


def _painted(plan: GatePlan, model: Path, prompts: Sequence[str], seed: int, progress: Progress) -> NDArray[np.uint8]:
    name = model.resolve().name
    engine = DiffusionEngine.load([model], threads=plan.threads)
    task = progress.add_task(name, total=len(prompts))

    def note(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return paint_captions(engine, name, prompts, seed=seed, folder=plan.folder / name, on_picture=note)
