"""Training a router: from prompts, and whether the light model's pictures of them were good enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from safelight.cascade.router import BUCKETS, Router, places_of

LEAST_PROMPTS: Final = 20
LARGEST_TEMPERATURE: Final = 100.0

Labels = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RouterRecipe:
    """How a router is trained.

    Attributes:
        calibration_share: of the prompts, the last ones, that only calibrate.
    """

    buckets: int = BUCKETS
    hidden: int = 16
    epochs: int = 30
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.3
    calibration_share: float = 0.125
    seed: int = 0


class RouterNet(nn.Module):
    """What `Router` computes, with gradients."""

    def __init__(self, recipe: RouterRecipe) -> None:
        super().__init__()
        self.embedding = nn.Parameter(0.3 * torch.randn(recipe.buckets, recipe.hidden))
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
    prompts: Sequence[str], suits: Labels, progress: Progress, recipe: RouterRecipe | None = None
) -> Router:
    """Return a calibrated router; `suits`, `(prompts,)`, says whose light pictures were good enough.

    It sends nothing to the heavy model by itself: its `threshold` is chosen where both models are compared.

    Raises:
        ValueError: if there are fewer than `LEAST_PROMPTS` prompts, or not one label for each.
    """
    if len(prompts) < LEAST_PROMPTS or len(prompts) != len(suits):
        raise ValueError(f"a router needs at least {LEAST_PROMPTS} prompts with a label each, not {len(prompts)}")
    recipe = recipe or RouterRecipe()
    places = [torch.tensor(places_of(prompt, recipe.buckets), dtype=torch.long) for prompt in prompts]
    hard = torch.from_numpy(~suits).float()
    border = len(prompts) - max(1, round(len(prompts) * recipe.calibration_share))
    net = _learned(places[:border], hard[:border], recipe, progress)
    with torch.inference_mode():
        logits = net(*_joined(places[border:]))
    return Router(
        embedding=_array(net.embedding),
        hidden_bias=_array(net.hidden_bias),
        output=_array(net.output),
        output_bias=float(net.output_bias.detach()),
        temperature=_temperature(logits, hard[border:]),
    )


def _learned(places: Sequence[Tensor], hard: Tensor, recipe: RouterRecipe, progress: Progress) -> RouterNet:
    torch.manual_seed(recipe.seed)
    net = RouterNet(recipe)
    steps_per_epoch = math.ceil(len(places) / recipe.batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * steps_per_epoch
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    task = progress.add_task("router", total=steps)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(places))
        for first in range(0, len(places), recipe.batch):
            chosen = order[first : first + recipe.batch]
            logits = net(*_joined([places[number] for number in chosen.tolist()]))
            loss = functional.binary_cross_entropy_with_logits(logits, hard[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch has no type for it
            optimizer.step()
            decay.step()
            progress.advance(task)
    return net


def _joined(places: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the places of all prompts, one after another, and where each prompt starts."""
    lengths = torch.tensor([0, *(len(each) for each in places[:-1])])
    return torch.cat(list(places)), lengths.cumsum(0)


def _temperature(logits: Tensor, hard: Tensor) -> float:
    """Return what to divide the logits by for the least cross-entropy (Guo et al., ICML 2017)."""
    tried = torch.logspace(-1, math.log10(LARGEST_TEMPERATURE), 200)
    losses = [float(functional.binary_cross_entropy_with_logits(logits / each, hard)) for each in tried]
    return float(tried[int(np.argmin(losses))])


def _array(parameter: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = parameter.detach().float().numpy().copy()
    return array
