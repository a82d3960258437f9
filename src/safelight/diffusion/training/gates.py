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
from torch import Tensor, nn
from torch.nn import functional

from safelight.diffusion.gates.calibration import Line, calibrated
from safelight.diffusion.gates.judges import TRAITS, Judge, Verdicts
from safelight.diffusion.gates.net import WIDTH, GateNet, Look, logits_of, signals_of, word_numbers
from safelight.diffusion.training.fit import TrainingConfig, fit
from safelight.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, SIZES

PRESENCE_WEIGHT = 4.0
"""Few cells have an object."""

_ALIKE: tuple[tuple[str, ...], ...] = (SHAPES, tuple(COLOURS), tuple(SIZES), tuple(BACKGROUNDS))


@dataclass(frozen=True, kw_only=True)
class GateRecipe:
    """How a gate is trained.

    Attributes:
        changed_share: of the pictures that are shown with another prompt: one of its words changed, or another one's.
        calibration_share: of the pictures that only calibrate.
    """

    fit: TrainingConfig = TrainingConfig(
        name="gate", steps=6_000, learning_rate=3e-3, warmup_steps=100, average_decay=0.995, weight_decay=0.02
    )
    batch: int = 96
    changed_share: float = 0.3
    words_weight: float = 2.0
    objects_weight: float = 1.0
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


class _Teaching(nn.Module):
    """The network, with layers that name the objects of each cell and judge each word: these teach its features."""

    def __init__(self) -> None:
        super().__init__()
        self.net = GateNet()
        self.objects = nn.Linear(WIDTH, 1 + sum(TRAITS))
        self.words = nn.Linear(WIDTH, 1)


def train_net(lessons: PaintedLessons, recipe: GateRecipe, folder: Path, progress: Progress) -> GateNet:
    """Train the network on all `lessons`: on the verdicts, and on words and objects where the judge knows them."""
    torch.manual_seed(recipe.fit.seed)
    teaching = _Teaching()
    average = copy.deepcopy(teaching)
    pictures, objects = torch.from_numpy(lessons.pictures), [seen.objects() for seen in lessons.verdicts]

    def loss(_: int, generator: torch.Generator) -> Tensor:
        rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        chosen = rng.integers(len(objects), size=recipe.batch)
        prompts = [
            changed(lessons.prompts[number], lessons.prompts, rng)
            if rng.random() < recipe.changed_share
            else lessons.prompts[number]
            for number in chosen
        ]
        seen = [lessons.verdicts[number] for number in chosen]
        look = teaching.net.look(signals_of(pictures[torch.from_numpy(chosen)]), word_numbers(prompts))
        suits = [float(each.suits(prompt)) for each, prompt in zip(seen, prompts, strict=True)]
        return (
            functional.binary_cross_entropy_with_logits(look.logits, torch.tensor(suits))
            + recipe.words_weight * _words_loss(teaching, look, seen, prompts)
            + recipe.objects_weight * _objects_loss(teaching, look, [objects[number] for number in chosen])
        )

    folder.mkdir(parents=True, exist_ok=True)
    fit(teaching, average, loss, recipe.fit, folder=folder, progress=progress)
    return average.net.eval()


def _words_loss(teaching: _Teaching, look: Look, seen: Sequence[Verdicts], prompts: Sequence[str]) -> Tensor:
    """Return how badly the features of each word say whether the picture shows it."""
    told = [
        (row, word, holds)
        for row, (each, prompt) in enumerate(zip(seen, prompts, strict=True))
        for word, holds in each.words(prompt).items()
        if word < look.words.shape[1]
    ]
    if not told:
        return look.logits.new_zeros(())
    rows, words, holds = (torch.tensor(each) for each in zip(*told, strict=True))
    return functional.binary_cross_entropy_with_logits(
        teaching.words(look.words[rows, words]).squeeze(-1), holds.float()
    )


def _objects_loss(teaching: _Teaching, look: Look, objects: Sequence[Sequence[tuple[int, ...]]]) -> Tensor:
    """Return how badly the features of each cell say whether an object's centre is there, and what it is."""
    told = [(row, *each) for row, own in enumerate(objects) for each in own]
    if not told:
        return look.logits.new_zeros(())
    rows, cells, *traits = torch.tensor(told).unbind(1)
    found = teaching.objects(look.cells)
    is_there = torch.zeros(found.shape[:2]).index_put_((rows, cells), torch.tensor(1.0))
    presence = functional.binary_cross_entropy_with_logits(found[..., 0], is_there)
    scores = found[rows, cells, 1:].split(TRAITS, dim=-1)
    named = sum(functional.cross_entropy(score, trait) for score, trait in zip(scores, traits, strict=True))
    return PRESENCE_WEIGHT * presence + named


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
