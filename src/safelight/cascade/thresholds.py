"""Thresholds of a gate from demand, by exact enumeration over batch sizes (DiffServe: Ahmad et al., MLSys 2025)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from safelight.cascade.cascade import Cascade, StageSeconds


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A threshold, and how many workers of each model serve it with calls of how many pictures.

    Attributes:
        share: of the pictures that the gate escalates.
    """

    threshold: float
    share: float
    light_workers: int
    heavy_workers: int
    light_batch: int
    heavy_batch: int


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Seconds that requests wait for each model."""

    light_s: float = 0.0
    heavy_s: float = 0.0


NO_WAITS = Waits()


def partitioned(
    cascade: Cascade,
    *,
    demand_per_s: float,
    workers: int,
    light: StageSeconds,
    heavy: StageSeconds,
    deadline_s: float,
    waits: Waits = NO_WAITS,
) -> Partition | None:
    """Return the highest threshold that `workers`, divided between the models, can serve; None if there is none.

    For each pair of batch sizes whose calls fit the deadline, as few workers as the demand needs serve the light model,
    and the others the heavy one. This finds the optimum of DiffServe's integer program.
    """
    best: Partition | None = None
    for light_batch, heavy_batch in _batches(light, heavy, deadline_s - waits.light_s - waits.heavy_s):
        light_workers = max(1, math.ceil(demand_per_s * light[light_batch] / light_batch))
        heavy_workers = workers - light_workers
        if heavy_workers < 0:
            continue
        capacity_per_s = heavy_workers * heavy_batch / heavy[heavy_batch]
        threshold = cascade.threshold_within(capacity_per_s / demand_per_s if demand_per_s > 0 else 1.0)
        if best is None or threshold > best.threshold:
            best = Partition(
                threshold=threshold,
                share=cascade.share(threshold),
                light_workers=light_workers,
                heavy_workers=heavy_workers,
                light_batch=light_batch,
                heavy_batch=heavy_batch,
            )
    return best


def shared_share(
    *,
    demand_per_s: float,
    workers: int,
    light: StageSeconds,
    heavy: StageSeconds,
    deadline_s: float,
    utilization: float,
) -> float:
    """Return the share of pictures that can be escalated if each of `workers` serves both models.

    The cheapest calls that fit the deadline count; `utilization` is the share of the workers' time that may be used.
    """
    if demand_per_s <= 0:
        return 1.0
    spare_s = workers * utilization / demand_per_s
    shares = (
        (spare_s - light[light_batch] / light_batch) / (heavy[heavy_batch] / heavy_batch)
        for light_batch, heavy_batch in _batches(light, heavy, deadline_s)
    )
    return min(1.0, max((0.0, *shares)))


def _batches(light: StageSeconds, heavy: StageSeconds, within_s: float) -> Iterator[tuple[int, int]]:
    """Yield the pairs of pictures per call whose two calls take at most `within_s` together."""
    return (
        (light_batch, heavy_batch)
        for light_batch, light_s in light.items()
        for heavy_batch, heavy_s in heavy.items()
        if light_s + heavy_s <= within_s
    )
