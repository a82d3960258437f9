"""What ways to choose between a light and a heavy model yield, from pictures that both have painted of each prompt."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]
Choice = NDArray[np.bool_]

INTERVAL = 0.95
RESAMPLES = 2_000


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds of compute that one picture of each model takes, and one look of the gate."""

    light_s: float
    heavy_s: float
    gate_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The qualities of both models' pictures of the same prompts, from 0 to 1, `(prompts,)` each.

    Raises:
        ValueError: if there are no prompts, or not one quality of each model for each.
    """

    light: Numbers
    heavy: Numbers

    def __post_init__(self) -> None:
        if self.light.ndim != 1 or self.light.shape != self.heavy.shape or not self.light.size:
            raise ValueError("each prompt needs one quality of the light picture and one of the heavy picture")


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Which prompts take which model.

    Attributes:
        looks: `(prompts,)`, those whose light picture the gate looks at; the others of `heavy` are not painted light.
        heavy: `(prompts,)`, those whose answer is the heavy picture.
    """

    looks: Choice
    heavy: Choice

    def qualities(self, judged: Judged) -> Numbers:
        """Return the quality of each answer, `(prompts,)`."""
        return np.where(self.heavy, judged.heavy, judged.light)

    def seconds(self, costs: Costs) -> Numbers:
        """Return the compute of each answer, `(prompts,)`; a rejected light picture counts with its look."""
        light_s = np.where(self.looks | ~self.heavy, costs.light_s, 0.0)
        return light_s + np.where(self.looks, costs.gate_s, 0.0) + np.where(self.heavy, costs.heavy_s, 0.0)

    @property
    def deferral(self) -> float:
        """The share of answers that the heavy model paints."""
        return float(self.heavy.mean())


def alone(prompts: int, *, heavy: bool) -> Strategy:
    """Return the strategy of one model for every prompt."""
    return Strategy(looks=np.zeros(prompts, bool), heavy=np.full(prompts, heavy))


def by_router(hardness: Numbers, *, above: float) -> Strategy:
    """Return the strategy that sends prompts of hardness `above` or more to the heavy model, and looks at nothing."""
    return Strategy(looks=np.zeros(len(hardness), bool), heavy=hardness >= above)


def by_gate(scores: Numbers, *, threshold: float) -> Strategy:
    """Return the strategy that looks at every light picture, and paints those that score below `threshold` again."""
    return Strategy(looks=np.ones(len(scores), bool), heavy=scores < threshold)


def by_both(scores: Numbers, hardness: Numbers, *, threshold: float, above: float) -> Strategy:
    """Return the strategy that sends prompts of hardness `above` or more on at once, and looks at the others."""
    direct = hardness >= above
    return Strategy(looks=~direct, heavy=direct | (scores < threshold))


def random_quality(judged: Judged, costs: Costs, *, seconds: float) -> float:
    """Return the mean quality of a random split that takes `seconds` a picture: exact, without draws.

    It looks at no picture and paints each prompt once, so it spends less at the same deferral than a gate does.
    """
    share = (seconds - costs.light_s) / (costs.heavy_s - costs.light_s)
    share = min(1.0, max(0.0, share))
    return float((1 - share) * judged.light.mean() + share * judged.heavy.mean())


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much better a strategy is than a random split of the same compute; `low` to `high` holds it in 0.95 cases."""

    mean: float
    low: float
    high: float


def gain_over_random(strategy: Strategy, judged: Judged, costs: Costs, rng: np.random.Generator) -> Gain:
    """Return the gain in mean quality over a random split, with an interval from resampled prompts.

    Each resample takes the split's compute anew from its own prompts.
    """
    own, seconds = strategy.qualities(judged), strategy.seconds(costs)
    count = len(own)
    picks = rng.integers(count, size=(RESAMPLES, count))
    gains = [
        float(own[pick].mean())
        - random_quality(
            Judged(light=judged.light[pick], heavy=judged.heavy[pick]), costs, seconds=float(seconds[pick].mean())
        )
        for pick in picks
    ]
    tail = (1 - INTERVAL) / 2
    low, high = (float(each) for each in np.quantile(gains, [tail, 1 - tail]))
    mean = float(own.mean()) - random_quality(judged, costs, seconds=float(seconds.mean()))
    return Gain(mean=mean, low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The least score that a gate accepts, and the least hardness that a router sends to the heavy model at once."""

    threshold: float
    above: float = math.inf


def fitted_thresholds(
    judged: Judged,
    costs: Costs,
    *,
    scores: Numbers,
    hardness: Numbers | None = None,
    most_seconds: float = math.inf,
    points: int = 64,
) -> Thresholds:
    """Return the thresholds of the best mean quality within `most_seconds` a picture; of equals, the cheapest.

    Fit them on other prompts than those that they are judged on. Without `hardness`, every picture is looked at.
    If nothing fits, every light picture is accepted.
    """
    grid = np.linspace(0, 1, points)
    aboves = [math.inf] if hardness is None else [math.inf, *np.quantile(hardness, grid).tolist()]
    candidates = np.unique([0.0, *np.quantile(scores, grid).tolist(), math.nextafter(float(scores.max()), math.inf)])
    best, chosen = (-math.inf, -math.inf), Thresholds(threshold=0.0)
    for above in aboves:
        hard = np.full(len(scores), -math.inf) if hardness is None else hardness
        for threshold in candidates.tolist():
            strategy = by_both(scores, hard, threshold=threshold, above=above)
            seconds = float(strategy.seconds(costs).mean())
            rank = (float(strategy.qualities(judged).mean()), -seconds)
            if seconds <= most_seconds and rank > best:
                best, chosen = rank, Thresholds(threshold=threshold, above=above)
    return chosen
