"""Serve requests by a cascade whose threshold follows the load."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascading import UTILIZATION, prompted, routed, share_in_force
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.control.levels.random_split import split
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class LoadCascade:
    """A router and a gate: as many pictures by the heavy model as get better, and as the load allows (as HADIS).

    A cascade without a gate has its router alone; one without either divides its requests at random.

    Attributes:
        utilization: share of the workers' time that may be used.
    """

    name: ClassVar[str] = "cascade"
    utilization: float = UTILIZATION

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            share = share_in_force(cascade, request, models, load, utilization=self.utilization)
            if cascade.gate is None and cascade.router is None:
                return split(cascade, request, models, share=share)
            return prompted(cascade, request, models, share=share, then_gated=cascade.gate is not None)

        return routed(request, models, load, choose)
