"""Constructing cascades."""

import numpy as np
import pytest

from safelight.cascade.construction import (
    GateMeasured,
    ModelMeasured,
    best_of_each_pair,
    cascade_points,
    sensible_pairs,
    worth_having,
)

PROMPTS = 300


@pytest.fixture
def models() -> dict[str, ModelMeasured]:
    rng = np.random.default_rng(4)
    rights = {"small": (1.0, 0.7), "large": (9.0, 0.95), "slow": (20.0, 0.95)}
    measured = {
        name: ModelMeasured(seconds=seconds, qualities=(rng.random(PROMPTS) < right).astype(float))
        for name, (seconds, right) in rights.items()
    }
    return {**measured, "slow": ModelMeasured(seconds=20.0, qualities=measured["large"].qualities)}


def gate_of(light: ModelMeasured, *, noise: float) -> GateMeasured:
    rng = np.random.default_rng(5)
    scores = np.clip(0.5 * light.qualities + 0.25 + noise * rng.normal(size=PROMPTS), 0, 1)
    return GateMeasured(seconds=0.02, scores=scores, hardness=rng.random(PROMPTS))


def test_a_pair_is_sensible_if_the_heavy_model_can_add_quality(models: dict[str, ModelMeasured]) -> None:
    assert set(sensible_pairs(models)) == {("small", "large"), ("small", "slow")}


def test_a_good_gate_is_worth_having_and_the_best_of_a_pair_is_on_the_frontier(
    models: dict[str, ModelMeasured],
) -> None:
    gate = gate_of(models["small"], noise=0.05)
    points = [point for pair in sensible_pairs(models) for point in cascade_points(*pair, models, gate)]
    kept = worth_having(models, points)
    (best,) = best_of_each_pair(kept)
    assert (best.light, best.heavy) == ("small", "large")
    assert best in kept
    assert best.quality >= models["large"].qualities.mean()
    assert best.seconds < models["large"].seconds


def test_a_model_that_is_better_and_cheaper_leaves_no_cascade(models: dict[str, ModelMeasured]) -> None:
    perfect = models | {"perfect": ModelMeasured(seconds=0.5, qualities=np.ones(PROMPTS))}
    points = list(cascade_points("small", "large", perfect, gate_of(models["small"], noise=0.3)))
    assert worth_having(perfect, points) == []


def test_a_gate_that_tells_nothing_apart_is_not_worth_having(models: dict[str, ModelMeasured]) -> None:
    blind = GateMeasured(seconds=0.02, scores=np.full(PROMPTS, 0.5), hardness=np.full(PROMPTS, 0.5))
    assert worth_having(models, cascade_points("small", "large", models, blind)) == []
