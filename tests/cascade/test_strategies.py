"""Ways to choose between a light and a heavy model."""

import math

import numpy as np
import pytest

from safelight.cascade.strategies import (
    Costs,
    Judged,
    alone,
    by_both,
    by_gate,
    by_router,
    fitted_thresholds,
    gain_over_random,
    random_quality,
)

COSTS = Costs(light_s=1.0, heavy_s=9.0, gate_s=0.02)
PROMPTS = 400


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def judged(rng: np.random.Generator) -> Judged:
    return Judged(light=(rng.random(PROMPTS) < 0.7).astype(float), heavy=(rng.random(PROMPTS) < 0.94).astype(float))


def test_a_gate_that_sees_the_truth_escalates_only_what_is_wrong(judged: Judged) -> None:
    strategy = by_gate(judged.light, threshold=0.5)
    assert strategy.deferral == pytest.approx(1 - judged.light.mean())
    assert strategy.qualities(judged).mean() >= max(judged.light.mean(), judged.heavy.mean())


def test_the_random_split_joins_the_two_models(judged: Judged) -> None:
    for heavy, seconds in ((False, COSTS.light_s), (True, COSTS.heavy_s)):
        one = alone(PROMPTS, heavy=heavy)
        assert one.seconds(COSTS).mean() == seconds
        assert random_quality(judged, COSTS, seconds=seconds) == pytest.approx(one.qualities(judged).mean())


def test_a_gate_of_chance_gains_nothing_and_one_that_sees_gains(judged: Judged, rng: np.random.Generator) -> None:
    blind = gain_over_random(by_gate(rng.random(PROMPTS), threshold=0.3), judged, COSTS, rng)
    seeing = gain_over_random(by_gate(judged.light, threshold=0.5), judged, COSTS, rng)
    assert blind.low < 0 < seeing.low < seeing.mean < seeing.high


def test_what_a_router_sends_on_is_neither_painted_light_nor_looked_at(rng: np.random.Generator) -> None:
    hardness, scores = rng.random(PROMPTS), rng.random(PROMPTS)
    routed = by_router(hardness, above=0.5)
    assert set(routed.seconds(COSTS)[routed.heavy]) == {COSTS.heavy_s}
    both = by_both(scores, hardness, threshold=0.0, above=0.5)
    assert (both.heavy == routed.heavy).all()
    assert (both.seconds(COSTS) - routed.seconds(COSTS)).max() == pytest.approx(COSTS.gate_s)


def test_both_is_the_gate_if_no_prompt_is_too_hard(rng: np.random.Generator) -> None:
    scores = rng.random(PROMPTS)
    both = by_both(scores, rng.random(PROMPTS), threshold=0.4, above=math.inf)
    assert (both.seconds(COSTS) == by_gate(scores, threshold=0.4).seconds(COSTS)).all()


@pytest.mark.parametrize("most_seconds", [1.0, 1.5, 4.5, math.inf])
def test_fitted_thresholds_keep_to_the_compute(judged: Judged, rng: np.random.Generator, most_seconds: float) -> None:
    hardness = 1 - judged.light + rng.normal(size=PROMPTS)
    scores = judged.light + rng.normal(size=PROMPTS)
    scores = np.clip(scores / 2, 0, 1)
    found = fitted_thresholds(judged, COSTS, scores=scores, hardness=hardness, most_seconds=most_seconds, points=9)
    seconds = by_both(scores, hardness, threshold=found.threshold, above=found.above).seconds(COSTS).mean()
    assert seconds <= max(most_seconds, COSTS.light_s + COSTS.gate_s)


def test_qualities_of_unlike_numbers_of_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="each prompt needs"):
        Judged(light=np.ones(2), heavy=np.ones(3))
