"""Serve requests by a cascade with a fixed threshold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascading import gated, routed
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class StaticCascade:
    """A cascade with its own threshold, whatever the load (DiffServe-Static; MLSys 2025)."""

    name: ClassVar[str] = "cascade-static"

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            threshold = cascade.threshold
            return gated(cascade, request, models, threshold=threshold, share=cascade.share(threshold))

        return routed(request, models, load, choose)
