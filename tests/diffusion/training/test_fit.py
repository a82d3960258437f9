"""The training loop: seeded, resumable, logged."""

import copy
from dataclasses import replace

import pytest
import torch
from rich.progress import Progress
from torch import nn

from safelight.diffusion.training.fit import TrainingConfig, fit

CONFIG = TrainingConfig(
    name="line", steps=40, learning_rate=0.05, warmup_steps=5, checkpoint_every=10, milestone_every=20
)


class Interrupted(Exception):
    """The power went."""


@pytest.fixture
def train(tmp_path):
    """Fit a line in `tmp_path`, stopping after `until` losses if given; return the averaged weights."""

    def run(*, until: int | None = None, on_milestone=lambda step: None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        net = nn.Linear(1, 1)
        average = copy.deepcopy(net)
        asked = 0

        def loss(step: int, generator: torch.Generator) -> torch.Tensor:
            nonlocal asked
            asked += 1
            if until is not None and asked > until:
                raise Interrupted
            x = torch.randn(16, 1, generator=generator)
            return (net(x) - (3 * x - 1)).square().mean()

        fit(net, average, loss, CONFIG, folder=tmp_path, progress=Progress(disable=True), on_milestone=on_milestone)
        return average.state_dict()

    return run


def test_an_interrupted_training_ends_like_an_uninterrupted_one(train, tmp_path):
    with pytest.raises(Interrupted):
        train(until=27)
    resumed = train()
    for file in tmp_path.iterdir():
        file.unlink()
    straight = train()
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def test_a_finished_training_is_not_repeated(train):
    train()
    train(until=0)


def test_the_loss_log_has_a_line_for_each_checkpoint_and_falls(train, tmp_path):
    train()
    rows = [line.split(",") for line in (tmp_path / "line.loss.csv").read_text().splitlines()[1:]]
    assert [int(step) for step, _ in rows] == [10, 20, 30, 40]
    assert float(rows[-1][1]) < float(rows[0][1])


def test_milestones_come_on_time_and_at_the_end(train):
    seen = []
    train(on_milestone=seen.append)
    assert seen == [20, 40]


def test_the_learning_rate_warms_up_and_cools_down():
    config = replace(CONFIG, steps=100)
    rates = [config.rate_at(step) for step in range(100)]
    assert max(rates) == rates[4]
    assert rates[0] < rates[4]
    assert rates[-1] < 0.01 * rates[4]
