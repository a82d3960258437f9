"""Serve requests by a cascade whose gate is a score of how well pictures fit their prompts."""

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
class ScoreThreshold:
    """The cascade's rival gate, such as a threshold on CLIP's score (a baseline of DiffServe, MLSys 2025).

    Attributes:
        utilization: share of the workers' time that may be used.
    """

    name: ClassVar[str] = "score-threshold"
    utilization: float = UTILIZATION

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            rival = cascade.with_rival
            share = share_in_force(cascade, request, models, load, utilization=self.utilization)
            return gated(rival, request, models, threshold=rival.threshold_within(share), share=share)

        return routed(request, models, load, choose)
