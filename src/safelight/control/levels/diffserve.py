"""Serve requests by a cascade as DiffServe does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from safelight.cascade.cascade import Cascade
from safelight.cascade.thresholds import partitioned
from safelight.control.levels.cascading import gated, heavy_level, light_level, routed
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest

OVERPROVISION: Final = 1.05
"""The paper plans for so many times the demand."""

DEADLINE_S: Final = 5.0
"""Assumed for a request without a deadline."""


@dataclass(frozen=True, kw_only=True)
class DiffServe:
    """The highest threshold that a division of the workers between both models can serve (DiffServe, MLSys 2025).

    The division only sets the threshold: any worker that serves a model takes its requests.

    Attributes:
        overprovision: the threshold is for so many times the demand.
    """

    name: ClassVar[str] = "diffserve"
    overprovision: float = OVERPROVISION

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            light = load.stage_seconds(request, light_level(cascade, request, models))
            heavy = load.stage_seconds(request, heavy_level(cascade, request, models))
            plan = partitioned(
                cascade,
                demand_per_s=load.demand_per_s(cascade) * self.overprovision,
                workers=len(load.workers.serving(cascade.heavy)),
                light=light,
                heavy=heavy,
                deadline_s=request.deadline_s or DEADLINE_S,
                waits=load.waits(cascade, 1.0),
            )
            threshold = 0.0 if plan is None else plan.threshold
            return gated(cascade, request, models, threshold=threshold, share=cascade.share(threshold))

        return routed(request, models, load, choose)
