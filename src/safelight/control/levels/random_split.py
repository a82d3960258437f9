"""Divide requests between the models of a cascade at random, as many to the heavy one as the load allows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from safelight.cascade.cascade import Cascade
from safelight.control.levels.cascading import UTILIZATION, heavy_route, light_route, routed, share_in_force
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest

HASH_BYTES: Final = 7


@dataclass(frozen=True, kw_only=True)
class RandomSplit:
    """Either model of a cascade, whatever the prompt (the idea of Proteus: Ahmad et al., ASPLOS 2024).

    The draw is a hash of the request's id, so equal requests get equal routes.

    Attributes:
        utilization: share of the workers' time that may be used.
    """

    name: ClassVar[str] = "random-split"
    utilization: float = UTILIZATION

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        def choose(cascade: Cascade) -> Route:
            share = share_in_force(cascade, request, models, load, utilization=self.utilization)
            return split(cascade, request, models, share=share)

        return routed(request, models, load, choose)


def split(cascade: Cascade, request: ImageRequest, models: Mapping[str, ModelSpec], *, share: float) -> Route:
    """Return the route of the heavy model for the share `share` of requests, and of the light one for the others."""
    to = heavy_route if _draw(request.id) < share else light_route
    return to(cascade, request, models, "random")


def _draw(request_id: str) -> float:
    """Return a pseudo-random number from 0 up to 1."""
    digest = hashlib.blake2b(request_id.encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest) / float(1 << 8 * HASH_BYTES)
