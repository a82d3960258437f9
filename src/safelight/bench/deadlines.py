"""Estimates deadlines from the latencies of warm-up requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from safelight.bench.errors import BadLoad
from safelight.bench.media.shape import Shape
from safelight.bench.records import Record

SCALE = 3.0
TILE_PIXELS = 256
"""vLLM-Omni's unit of area: a tile of 16x16 pixels."""


@dataclass(frozen=True, kw_only=True)
class ServiceTimeEstimate:
    """How long a request should take.

    Attributes:
        fixed_s: seconds of every request.
        step_tile_s: seconds of each step of each tile of each frame.
        description: what it was estimated from, for display.
    """

    fixed_s: float
    step_tile_s: float
    description: str

    def service_s(self, shape: Shape) -> float:
        """Return the service time of a request of this shape on an idle server."""
        return self.fixed_s + self.step_tile_s * step_tiles(shape)


def step_tiles(shape: Shape) -> float:
    """Return the work of a shape: tiles x frames x steps; raises BadLoad if its size is unknown."""
    if shape.width is None or shape.height is None:
        raise BadLoad(
            "--slo estimates deadlines from sizes, and some requests leave theirs to the server; "
            "set --width and --height, or give a deadline with --slo-ms."
        )
    return max(shape.width * shape.height / TILE_PIXELS, 1.0) * max(shape.frames or 1, 1) * max(shape.steps or 1, 1)


def omni_estimate(records: Sequence[Record]) -> ServiceTimeEstimate:
    """Return vLLM-Omni's estimate: the median time per step and tile of warm-ups, with fixed costs spread over them."""
    unit_s = median(record.latency_s / step_tiles(record.request.shape) for record in records)
    return ServiceTimeEstimate(
        fixed_s=0.0,
        step_tile_s=unit_s,
        description=f"vLLM-Omni's estimate: {1e6 * unit_s:.4g} µs per step and tile of 16x16",
    )


def fitted_estimate(records: Sequence[Record]) -> ServiceTimeEstimate:
    """Return a fit of fixed costs and costs per step and tile, neither below 0, by least squares of relative errors."""
    from scipy.optimize import nnls  # noqa: PLC0415 - 24 MB of memory, which other loads do without

    work = np.array([step_tiles(record.request.shape) for record in records])
    latency_s = np.array([record.latency_s for record in records])
    if len(set(work)) < 2:
        raise BadLoad(
            "--slo-estimator fit needs warm-ups of different amounts of work, and all are alike; "
            "let --warmup-num-inference-steps differ from --num-inference-steps."
        )
    scaled = np.stack([1 / latency_s, work / latency_s], axis=1)
    (fixed_s, unit_s), _ = nnls(scaled, np.ones(len(work)))
    description = (
        f"a fit over {len(work)} warm-ups: {fixed_s:.4g} s, and {1e6 * unit_s:.4g} µs per step and tile of 16x16"
    )
    return ServiceTimeEstimate(fixed_s=float(fixed_s), step_tile_s=float(unit_s), description=description)


ESTIMATORS: dict[str, Callable[[Sequence[Record]], ServiceTimeEstimate]] = {
    "omni": omni_estimate,
    "fit": fitted_estimate,
}
