"""A level policy of the tests: a picture of the small model first, and one of the large model if that was not good."""

from dataclasses import dataclass
from typing import ClassVar

from control.makers import LARGE, SMALL
from safelight.control.levels.as_asked import AsAsked
from safelight.control.levels.constraints import level_on
from safelight.core.level import Gate, Route

THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Two stages for a request that names no model, where both models are known; one for all others."""

    name: ClassVar[str] = "cascade"

    def route(self, request, models, load=None):
        if request.model is not None or not {LARGE, SMALL} <= models.keys():
            return AsAsked().route(request, models)
        levels = tuple(level_on(models[name], request) for name in (SMALL, LARGE))
        return Route(levels=levels, gates=(Gate(threshold=THRESHOLD),))
