"""Training of a level predictor: from prompts and neighbours, and what levels lost for them."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

Numbers = NDArray[np.float32]

KINDS: Final = 2
LEAST_PAIRS: Final = 40


@dataclass(frozen=True, kw_only=True)
class LevelRecipe:
    """How a level predictor is trained; of the pairs, the last `held_share` only say which epoch was the best."""

    hidden: int = 12
    epochs: int = 150
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    held_share: float = 0.15
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LevelLessons:
    """What a level predictor learns of.

    Attributes:
        inputs: `(pairs, inputs)`.
        similarities: `(pairs,)`.
        kinds, depths: `(levels,)`, of each level; both arrays are those of the network's `losses`.
        losses: `(pairs, levels)`, from 0 to 1.
    """

    inputs: Numbers
    similarities: Numbers
    kinds: NDArray[np.int64]
    depths: Numbers
    losses: Numbers


class LevelNet(nn.Module):
    """What a loss network of `latents` computes, with gradients."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inputs = nn.Parameter(torch.randn(inputs, hidden) / math.sqrt(8))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.level = nn.Parameter(torch.randn(KINDS, hidden) / math.sqrt(hidden))
        self.level_bias = nn.Parameter(torch.full((KINDS,), -3.0))
        self.slope = nn.Parameter(torch.randn(KINDS, hidden) / math.sqrt(hidden))
        self.slope_bias = nn.Parameter(torch.ones(KINDS))
        self.similarity = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Tensor, similarities: Tensor, kinds: Tensor, depths: Tensor) -> Tensor:
        """Return the logits of losses, `(pairs, levels)`."""
        hidden = functional.relu(inputs @ self.inputs + self.bias)
        level = hidden @ self.level.T + self.level_bias
        starts = (kinds == 0).float()
        nearer = functional.softplus(self.similarity) * similarities.unsqueeze(1) * starts
        slope = functional.softplus(hidden @ self.slope.T + self.slope_bias)
        logits: Tensor = level[:, kinds] - nearer + slope[:, kinds] * depths
        return logits


def train_level_predictor(
    lessons: LevelLessons, progress: Progress, *, recipe: LevelRecipe | None = None
) -> Mapping[str, Numbers]:
    """Return the arrays of a network that predicts the expected loss, of the epoch that fits its held pairs best.

    Raises:
        ValueError: if there are fewer than `LEAST_PAIRS` pairs.
    """
    recipe = recipe or LevelRecipe()
    pairs = len(lessons.losses)
    if pairs < LEAST_PAIRS:
        raise ValueError(f"a level predictor needs at least {LEAST_PAIRS} pairs, not {pairs}")
    torch.manual_seed(recipe.seed)
    net = LevelNet(lessons.inputs.shape[1], recipe.hidden)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs)
    border = pairs - max(1, round(pairs * recipe.held_share))
    rows = torch.arange(pairs)
    task = progress.add_task("level predictor", total=recipe.epochs)
    best, least = copy.deepcopy(net), math.inf
    loss = _Loss(net, lessons)
    for _ in range(recipe.epochs):
        for chosen in torch.split(torch.randperm(border), recipe.batch):
            optimizer.zero_grad()
            loss.of(chosen).backward()  # type: ignore[no-untyped-call] # torch has no type for it
            optimizer.step()
        decay.step()
        with torch.no_grad():
            held = float(loss.of(rows[border:]))
        if held < least:
            best, least = copy.deepcopy(net), held
        progress.advance(task)
    return {name: value.detach().float().numpy().copy() for name, value in best.named_parameters()}


class _Loss:
    """Cross-entropy of predicted and measured losses."""

    def __init__(self, net: LevelNet, lessons: LevelLessons) -> None:
        self._net = net
        self._inputs = torch.from_numpy(lessons.inputs)
        self._similarities = torch.from_numpy(lessons.similarities)
        self._kinds = torch.from_numpy(lessons.kinds)
        self._depths = torch.from_numpy(lessons.depths)
        self._losses = torch.from_numpy(lessons.losses)

    def of(self, chosen: Tensor) -> Tensor:
        logits = self._net(self._inputs[chosen], self._similarities[chosen], self._kinds, self._depths)
        return functional.binary_cross_entropy_with_logits(logits, self._losses[chosen])
