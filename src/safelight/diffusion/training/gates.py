"""Training a gate, and the router beside it, on pictures that the light model has painted."""

import copy
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from safelight.diffusion.gates.calibration import Line, calibrated
from safelight.diffusion.gates.judges import Judge, Verdicts
from safelight.diffusion.gates.net import GateNet, logits_of, signals_of, word_numbers
from safelight.diffusion.training.fit import TrainingConfig, fit
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, SIZES

JITTER = 3
"""Pictures are shifted by at most so many pixels."""

_ALIKE: tuple[tuple[str, ...], ...] = (SHAPES, tuple(COLOURS), tuple(SIZES), tuple(BACKGROUNDS))


@dataclass(frozen=True, kw_only=True)
class GateRecipe:
    """How a gate is trained.

    Attributes:
        changed_share: of the pictures that are shown with another prompt: one of its words changed, or another one's.
        calibration_share: of the pictures that only calibrate.
    """

    fit: TrainingConfig = TrainingConfig(
        name="gate", steps=4_000, learning_rate=2e-3, warmup_steps=100, average_decay=0.995, weight_decay=0.02
    )
    batch: int = 128
    changed_share: float = 0.3
    calibration_share: float = 0.125
    processes: int = 2


@dataclass(frozen=True, kw_only=True)
class PaintedLessons:
    """Pictures, `(n, height, width, 3)`, the prompts that they were made for, and what a judge has seen of each."""

    pictures: NDArray[np.uint8]
    prompts: Sequence[str]
    verdicts: Sequence[Verdicts]

    @property
    def suits(self) -> NDArray[np.bool_]:
        """Whether each picture is good enough for its own prompt."""
        return np.array([seen.suits(prompt) for seen, prompt in zip(self.verdicts, self.prompts, strict=True)])

    def part(self, first: int, last: int) -> "PaintedLessons":
        return PaintedLessons(
            pictures=self.pictures[first:last],
            prompts=self.prompts[first:last],
            verdicts=self.verdicts[first:last],
        )


def judged(pictures: NDArray[np.uint8], prompts: Sequence[str], judge: Judge, *, processes: int) -> PaintedLessons:
    """Let a judge look at all pictures."""
    with ProcessPoolExecutor(processes) as pool:
        verdicts = list(pool.map(judge.look, pictures, chunksize=64))
    return PaintedLessons(pictures=pictures, prompts=list(prompts), verdicts=verdicts)


@dataclass(frozen=True, kw_only=True)
class TrainedGate:
    """A trained network, and the line that calibrates its logits."""

    net: GateNet
    line: Line
    logits: NDArray[np.float64]
    suits: NDArray[np.bool_]


def train_gate(lessons: PaintedLessons, recipe: GateRecipe, folder: Path, progress: Progress) -> TrainedGate:
    """Train a gate, or go on training it, on the first lessons, and calibrate it on the others.

    The logits and labels that are returned are those of the lessons that calibrate.
    """
    border = round(len(lessons.prompts) * (1 - recipe.calibration_share))
    net = train_net(lessons.part(0, border), recipe, folder, progress)
    held = lessons.part(border, len(lessons.prompts))
    logits = logits_of(net, torch.from_numpy(held.pictures), held.prompts).double().numpy()
    suits = held.suits
    return TrainedGate(net=net, line=calibrated(logits, suits), logits=logits, suits=suits)


def train_net(lessons: PaintedLessons, recipe: GateRecipe, folder: Path, progress: Progress) -> GateNet:
    """Train the network on all `lessons`."""
    torch.manual_seed(recipe.fit.seed)
    net = GateNet()
    average = copy.deepcopy(net)
    own, pictures = lessons.suits, torch.from_numpy(lessons.pictures)

    def loss(_: int, generator: torch.Generator) -> Tensor:
        rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        chosen = rng.integers(len(own), size=recipe.batch)
        prompts, labels = [], []
        for number in chosen:
            prompt, label = lessons.prompts[number], own[number]
            if rng.random() < recipe.changed_share:
                prompt = changed(prompt, lessons.prompts, rng)
                label = lessons.verdicts[number].suits(prompt)
            prompts.append(prompt)
            labels.append(label)
        shift = tuple(int(each) for each in rng.integers(-JITTER, JITTER + 1, size=2))
        signals = torch.roll(signals_of(pictures[torch.from_numpy(chosen)]), shift, (2, 3))
        wanted = torch.tensor(np.array(labels), dtype=torch.float32)
        return functional.binary_cross_entropy_with_logits(net(signals, word_numbers(prompts)), wanted)

    folder.mkdir(parents=True, exist_ok=True)
    fit(net, average, loss, recipe.fit, folder=folder, progress=progress)
    return average.eval()


def changed(prompt: str, prompts: Sequence[str], rng: np.random.Generator) -> str:
    """Return `prompt` with one of its words of the embedded domain changed; another prompt if it has none."""
    words = prompt.split()
    places = [place for place, word in enumerate(words) if any(word in alike for alike in _ALIKE)]
    if not places:
        return str(prompts[int(rng.integers(len(prompts)))])
    place = places[int(rng.integers(len(places)))]
    alike = next(alike for alike in _ALIKE if words[place] in alike)
    words[place] = alike[int(rng.integers(len(alike)))]
    return " ".join(words)
