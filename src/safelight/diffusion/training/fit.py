"""One training loop for every network: seeded, checkpointed, resumed where it stopped."""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import Progress
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Loss = Callable[[int, torch.Generator], Tensor]
"""From a step number and a generator that only this step uses to a scalar loss."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how fast to train: linear warm-up, cosine decay over the last `decay_steps`, averaged weights."""

    name: str
    steps: int
    learning_rate: float = 1e-3
    matrix_learning_rate: float = 8e-3
    warmup_steps: int = 200
    decay_steps: int | None = None
    weight_decay: float = 0.01
    average_decay: float = 0.999
    checkpoint_every: int = 200
    milestone_every: int = 1_000
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Return the share of the learning rates that `step` learns with."""
        warmth = min(1.0, (step + 1) / self.warmup_steps)
        decay_steps = self.steps if self.decay_steps is None else self.decay_steps
        decayed = max(0.0, 1 - (self.steps - step) / decay_steps)
        return warmth * 0.5 * (1 + math.cos(math.pi * decayed))


@dataclass
class _State:
    net: nn.Module
    average: nn.Module
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0


def fit(
    net: nn.Module,
    average: nn.Module,
    loss: Loss,
    config: TrainingConfig,
    *,
    folder: Path,
    progress: Progress,
    matrices: Sequence[nn.Parameter] = (),
    on_milestone: Callable[[int], None] = lambda step: None,
) -> None:
    """Train `net` in place and leave its running average in `average`.

    `matrices` learn by Muon (Jordan et al., 2024), all else by AdamW.

    A checkpoint and a loss log are kept in `folder`; a second call goes on from the checkpoint, and ends as
    an uninterrupted run would have, since each step draws from a generator of its own. `on_milestone` is called with
    the step now and then, and at the end of a run that had steps left.
    """
    average.load_state_dict(net.state_dict())
    state = _State(net, average.requires_grad_(requires_grad=False), _optimizers(net, config, matrices))
    checkpoint = folder / f"{config.name}.checkpoint.safetensors"
    if checkpoint.exists():
        _load(state, checkpoint)
    task = progress.add_task(config.name, total=config.steps, completed=state.step)
    recent: list[float] = []
    while state.step < config.steps:
        recent.append(_advance(state, loss, config))
        progress.update(task, completed=state.step, description=f"{config.name} loss {recent[-1]:.4f}")
        if state.step % config.checkpoint_every == 0 or state.step == config.steps:
            _save(state, checkpoint)
            _log(folder / f"{config.name}.loss.csv", state.step, sum(recent) / len(recent))
            recent.clear()
        if state.step % config.milestone_every == 0 or state.step == config.steps:
            on_milestone(state.step)


def _optimizers(
    net: nn.Module, config: TrainingConfig, matrices: Sequence[nn.Parameter]
) -> tuple[torch.optim.Optimizer, ...]:
    by_muon = {id(parameter) for parameter in matrices}
    others = [one for one in net.parameters() if one.requires_grad and id(one) not in by_muon]
    adam = torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay)
    if not matrices:
        return (adam,)
    muon = torch.optim.Muon(
        list(matrices),
        lr=config.matrix_learning_rate,
        weight_decay=config.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return adam, muon


def _advance(state: _State, loss: Loss, config: TrainingConfig) -> float:
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"] * config.rate_at(state.step)
        optimizer.zero_grad(set_to_none=True)
    value = loss(state.step, generator)
    value.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
    for optimizer in state.optimizers:
        optimizer.step()
    state.step += 1
    decay = min(config.average_decay, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        averaged = [parameter.data for parameter in state.average.parameters()]
        torch._foreach_lerp_(averaged, [parameter.data for parameter in state.net.parameters()], 1 - decay)
    return float(value.detach())


def _save(state: _State, path: Path) -> None:
    tensors = {f"net.{name}": value for name, value in state.net.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.state_dict().items()}
    for place, optimizer in enumerate(state.optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer{place}.{index}.{name}": value for name, value in moments.items()}
    temporary = path.with_suffix(".partial")
    save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, {"step": str(state.step)})
    temporary.replace(path)


def _load(state: _State, path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        state.step = int(file.metadata()["step"])
    tensors = load_file(path)

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    state.net.load_state_dict(part("net."))
    state.average.load_state_dict(part("average."))
    for place, optimizer in enumerate(state.optimizers):
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in part(f"optimizer{place}.").items():
            index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})


def _log(path: Path, step: int, loss: float) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(("step", "mean_loss"))
        writer.writerow((step, f"{loss:.6f}"))
