"""Serve requests for a cascade by its heavy model alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascading import heavy_route, routed
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class Heaviest:
    """The heavy model of a cascade alone (the baseline Clipper-Heavy of DiffServe, MLSys 2025)."""

    name: ClassVar[str] = "heaviest"

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            return heavy_route(cascade, request, models, "policy")

        return routed(request, models, load, choose)
