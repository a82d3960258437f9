"""Serve requests by a cascade whose threshold follows the load."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascading import UTILIZATION, affordable_share, gated, routed
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class LoadCascade:
    """A cascade that escalates as many pictures as make them better, and as the load allows.

    Attributes:
        utilization: share of the workers' time that may be used.
    """

    name: ClassVar[str] = "cascade"
    utilization: float = UTILIZATION

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            share = affordable_share(cascade, request, models, load, utilization=self.utilization)
            share = min(share, cascade.best_share)
            return gated(cascade, request, models, threshold=cascade.threshold_within(share), share=share)

        return routed(request, models, load, choose)
