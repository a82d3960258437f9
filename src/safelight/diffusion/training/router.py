"""Training a router: from hashed prompts, and whether the light model's pictures of them were good enough."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from safelight.diffusion.gates.calibration import calibrated

LEAST_PROMPTS: Final = 20
LEAST_SLOPE: Final = 0.01
"""Of the calibration: a router that knows nothing says the same of every prompt, or nearly."""

SHARE_POINTS: Final = 41

Labels = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RouterRecipe:
    """How a router is trained.

    Attributes:
        steps: at least; each prompt is seen at least `epochs` times.
        calibration_share: of the prompts, the last ones, that only calibrate and say which epoch was the best.
    """

    hidden: int = 16
    epochs: int = 30
    steps: int = 1_000
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.3
    calibration_share: float = 0.125
    seed: int = 0


class RouterNet(nn.Module):
    """What a router of the cascade computes, with gradients."""

    def __init__(self, recipe: RouterRecipe, *, buckets: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(0.3 * torch.randn(buckets, recipe.hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(recipe.hidden))
        self.output = nn.Parameter(torch.randn(recipe.hidden) / math.sqrt(recipe.hidden))
        self.output_bias = nn.Parameter(torch.zeros(()))

    def forward(self, places: Tensor, starts: Tensor) -> Tensor:
        """Return the logits of prompts, whose places lie one after another from `starts` on; harder is more."""
        summed = functional.embedding_bag(places, self.embedding, starts, mode="sum")
        ends = torch.cat([starts[1:], torch.tensor([len(places)])])
        scaled = summed / (ends - starts).clamp(min=1).sqrt().unsqueeze(-1)
        hidden = functional.relu(scaled + self.hidden_bias)
        logits: Tensor = hidden @ self.output + self.output_bias
        return logits


def train_router(
    places: Sequence[Sequence[int]],
    suits: Labels,
    progress: Progress,
    *,
    buckets: int,
    recipe: RouterRecipe | None = None,
) -> Mapping[str, NDArray[np.float32]]:
    """Return the arrays of a calibrated router, named as a router of the cascade reads them.

    It sends nothing to the heavy model by itself: its threshold is chosen where both models are compared.

    Args:
        places: of each prompt, where its words and its pairs of words are hashed to, below `buckets`.
        suits: `(prompts,)`, whether the light picture of each was good enough.
        progress: gets a task.
        buckets: how many places there are.
        recipe: how to train.

    Raises:
        ValueError: if there are fewer than `LEAST_PROMPTS` prompts, or not one label for each.
    """
    if len(places) < LEAST_PROMPTS or len(places) != len(suits):
        raise ValueError(f"a router needs at least {LEAST_PROMPTS} prompts with a label each, not {len(places)}")
    recipe = recipe or RouterRecipe()
    own = [torch.tensor(each, dtype=torch.long) for each in places]
    hard = torch.from_numpy(~suits).float()
    border = len(own) - max(1, round(len(own) * recipe.calibration_share))
    net = _learned(own[:border], hard[:border], recipe, progress, buckets=buckets, held=(own[border:], hard[border:]))
    with torch.inference_mode():
        logits = net(*_joined(own[border:])).double().numpy()
    line = calibrated(logits, ~suits[border:])
    slope = max(line.slope, LEAST_SLOPE)
    scalars = (float(net.output_bias.detach()) + line.intercept / slope, 1 / slope, math.inf)
    return {
        "router.embedding": _array(net.embedding),
        "router.hidden_bias": _array(net.hidden_bias),
        "router.output": _array(net.output),
        "router.scalars": np.array(scalars, dtype=np.float32),
        "router.shares": _shares(line.probabilities(logits)),
    }


def _learned(
    places: Sequence[Tensor],
    hard: Tensor,
    recipe: RouterRecipe,
    progress: Progress,
    *,
    buckets: int,
    held: tuple[Sequence[Tensor], Tensor],
) -> RouterNet:
    """Return the network of the epoch that fits the prompts of `held` best."""
    torch.manual_seed(recipe.seed)
    net = RouterNet(recipe, buckets=buckets)
    steps_per_epoch = math.ceil(len(places) / recipe.batch)
    epochs = max(recipe.epochs, math.ceil(recipe.steps / steps_per_epoch))
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    task = progress.add_task("router", total=epochs)
    best, least = copy.deepcopy(net), math.inf
    for _ in range(epochs):
        order = torch.randperm(len(places))
        for first in range(0, len(places), recipe.batch):
            chosen = order[first : first + recipe.batch]
            loss = _loss(net, [places[number] for number in chosen.tolist()], hard[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch has no type for it
            optimizer.step()
        decay.step()
        with torch.no_grad():
            own = float(_loss(net, *held))
        if own < least:
            best, least = copy.deepcopy(net), own
        progress.advance(task)
    return best


def _loss(net: RouterNet, places: Sequence[Tensor], hard: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(net(*_joined(places)), hard)


def _joined(places: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the places of all prompts, one after another, and where each prompt starts."""
    lengths = torch.tensor([0, *(len(each) for each in places[:-1])])
    return torch.cat(list(places)), lengths.cumsum(0)


def _shares(hardness: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return pairs of a hardness, rising from 0 to 1, and the share of prompts that are at least so hard."""
    points = [(0.0, 1.0)]
    for quantile in np.quantile(hardness, np.linspace(0, 1, SHARE_POINTS)).astype(np.float32).tolist():
        if points[-1][0] < quantile < 1:
            points.append((quantile, float(np.mean(hardness >= quantile))))
    return np.array([*points, (1.0, 0.0)], dtype=np.float32)


def _array(parameter: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = parameter.detach().float().numpy().copy()
    return array
