"""Training a router."""

import numpy as np
import pytest
import torch
from rich.progress import Progress

from safelight.cascade.router import Router, places_of
from safelight.diffusion.gates.calibration import auc, calibration_error
from safelight.diffusion.training.router import RouterNet, RouterRecipe, train_router

ADJECTIVES = ("red", "blue", "green", "grey", "round", "square")
THINGS = ("boat", "house", "tree", "dog", "hand", "clock")
BUCKETS = 256
RECIPE = RouterRecipe(hidden=8, steps=300)


def trained(prompts: list[str], suits: np.ndarray) -> Router:
    places = [places_of(prompt, BUCKETS) for prompt in prompts]
    arrays = train_router(places, suits, Progress(disable=True), buckets=BUCKETS, recipe=RECIPE)
    router = Router.from_arrays(arrays)
    assert router is not None
    return router


@pytest.fixture
def prompts() -> list[str]:
    rng = np.random.default_rng(0)
    return [f"a {rng.choice(ADJECTIVES)} {rng.choice(THINGS)} by a {rng.choice(THINGS)}" for _ in range(2_000)]


@pytest.fixture
def suits(prompts: list[str]) -> np.ndarray:
    luck = np.random.default_rng(1).random(len(prompts))
    return np.array([("hand" not in prompt) != (chance < 0.1) for prompt, chance in zip(prompts, luck, strict=True)])


def test_a_router_learns_which_words_are_hard_and_says_how_many_are(prompts: list[str], suits: np.ndarray) -> None:
    router = trained(prompts[:1_500], suits[:1_500])
    hardness = np.array([router.hardness(prompt) for prompt in prompts[1_500:]])
    assert auc(hardness, ~suits[1_500:]) > 0.8
    assert calibration_error(hardness, ~suits[1_500:]) < 0.08
    for share in (0.1, 0.3, 0.6):
        assert np.mean(hardness >= router.threshold_within(share)) == pytest.approx(share, abs=0.1)


def test_the_trained_network_is_the_one_that_serves(prompts: list[str], suits: np.ndarray) -> None:
    router = trained(prompts[:200], suits[:200])
    net = RouterNet(RECIPE, buckets=BUCKETS)
    with torch.no_grad():
        for name in ("embedding", "hidden_bias", "output"):
            getattr(net, name).copy_(torch.from_numpy(getattr(router, name)))
        net.output_bias.fill_(router.output_bias)
        places = [torch.tensor(places_of(prompt, BUCKETS)) for prompt in (*prompts[:5], "a")]
        starts = torch.tensor([0, *(len(each) for each in places[:-1])]).cumsum(0)
        own = torch.sigmoid(net(torch.cat(places), starts) / router.temperature)
    assert [router.hardness(prompt) for prompt in (*prompts[:5], "a")] == pytest.approx(own.tolist(), abs=1e-5)


def test_a_router_is_not_trained_on_a_handful_of_prompts(prompts: list[str], suits: np.ndarray) -> None:
    for labels in (suits[:5], suits[:6]):
        with pytest.raises(ValueError, match="at least"):
            trained(prompts[:5], labels)
