"""Serve requests by the gate of a cascade, without its router."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascading import UTILIZATION, gated, routed, share_in_force
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class GateOnly:
    """Every picture by the light model first, and by the heavy one if the gate does not accept it, as the load allows.

    Attributes:
        utilization: share of the workers' time that may be used.
    """

    name: ClassVar[str] = "gate-only"
    utilization: float = UTILIZATION

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            share = share_in_force(cascade, request, models, load, utilization=self.utilization)
            return gated(cascade, request, models, threshold=cascade.threshold_within(share), share=share)

        return routed(request, models, load, choose)
