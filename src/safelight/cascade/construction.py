"""Constructing cascades from the models that there are (DiffServe: Ahmad et al., MLSys 2025, section 3)."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np

from safelight.cascade.frontier import ModelAlone, frontier
from safelight.cascade.strategies import Choice, Costs, Judged, Numbers, by_both, random_quality

LEAST_GAIN: Final = 0.01
"""A perfect gate must add so much quality to the light model."""

THRESHOLDS: Final = 40
ROUTED_SHARES: Final = (0.0, 0.05, 0.1, 0.2, 0.3)
"""Of the prompts, the hardest ones, that may skip the light model."""


@dataclass(frozen=True, kw_only=True)
class ModelMeasured:
    """One model over the prompts that all models painted: `seconds` of compute a picture, qualities `(prompts,)`."""

    seconds: float
    qualities: Numbers


@dataclass(frozen=True, kw_only=True)
class GateMeasured:
    """The gate and the router of a pair: seconds of a look, scores and hardness `(prompts,)`."""

    seconds: float
    scores: Numbers
    hardness: Numbers


@dataclass(frozen=True, kw_only=True)
class CascadePoint:
    """A cascade at one pair of thresholds; the router's is infinite if it sends nothing on."""

    light: str
    heavy: str
    threshold: float
    router_threshold: float
    share: float
    seconds: float
    quality: float


def sensible_pairs(models: Mapping[str, ModelMeasured]) -> list[tuple[str, str]]:
    """Return the pairs of a light and a heavy model that a perfect gate would make better than the light one alone."""
    return [
        (light, heavy)
        for light, heavy in permutations(models, 2)
        if models[light].seconds < models[heavy].seconds and _most_gain(models[light], models[heavy]) >= LEAST_GAIN
    ]


def cascade_points(
    light: str, heavy: str, models: Mapping[str, ModelMeasured], gate: GateMeasured
) -> Iterator[CascadePoint]:
    """Yield what a pair yields at each of some thresholds of its gate and its router."""
    judged = Judged(light=models[light].qualities, heavy=models[heavy].qualities)
    costs = Costs(light_s=models[light].seconds, heavy_s=models[heavy].seconds, gate_s=gate.seconds)
    thresholds = np.unique(np.quantile(gate.scores, np.linspace(0, 1, THRESHOLDS)))
    for routed in ROUTED_SHARES:
        above = float(np.quantile(gate.hardness, 1 - routed)) if routed else math.inf
        for threshold in thresholds.tolist():
            strategy = by_both(gate.scores, gate.hardness, threshold=threshold, above=above)
            yield CascadePoint(
                light=light,
                heavy=heavy,
                threshold=threshold,
                router_threshold=above,
                share=strategy.deferral,
                seconds=float(strategy.seconds(costs).mean()),
                quality=float(strategy.qualities(judged).mean()),
            )


def worth_having(models: Mapping[str, ModelMeasured], points: Iterable[CascadePoint]) -> list[CascadePoint]:
    """Return the points that neither a model alone nor another point beats in quality and compute, cheapest first.

    They also beat a random split of the same compute between their two models.
    """
    alone = [
        ModelAlone(name=name, seconds=each.seconds, quality=float(each.qualities.mean()))
        for name, each in models.items()
    ]
    gaining = [point for point in points if point.quality > _random_quality(point, models)]
    ways: list[ModelAlone | CascadePoint] = [*alone, *gaining]
    return [way for way in frontier(ways) if isinstance(way, CascadePoint)]


def best_of_each_pair(kept: Iterable[CascadePoint]) -> list[CascadePoint]:
    """Return, for each pair that has a point in `kept`, the one of the best quality, the cheapest first."""
    best: dict[tuple[str, str], CascadePoint] = {}
    for point in kept:
        known = best.get((point.light, point.heavy))
        if known is None or point.quality > known.quality:
            best[point.light, point.heavy] = point
    return sorted(best.values(), key=lambda each: each.seconds)


def _random_quality(point: CascadePoint, models: Mapping[str, ModelMeasured]) -> float:
    light, heavy = models[point.light], models[point.heavy]
    judged = Judged(light=light.qualities, heavy=heavy.qualities)
    costs = Costs(light_s=light.seconds, heavy_s=heavy.seconds)
    return random_quality(judged, costs, seconds=point.seconds)


def _most_gain(light: ModelMeasured, heavy: ModelMeasured) -> float:
    better: Choice = heavy.qualities > light.qualities
    return float(np.where(better, heavy.qualities, light.qualities).mean() - light.qualities.mean())
