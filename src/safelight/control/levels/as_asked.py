"""Serve each request as its client asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from safelight.control.levels.constraints import find_model, level_on
from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.errors import InvalidParameter
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest


@dataclass(frozen=True, kw_only=True)
class AsAsked:
    """One level: the named model, or the first one, with the model's defaults for what the client did not set."""

    name: ClassVar[str] = "as-asked"

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        model = find_model(request.model, models)
        if request.min_quality is not None:
            raise InvalidParameter(
                "min_quality", request.min_quality, f"no gate looks at pictures of {model.name}; name a cascade"
            )
        return Route(levels=(level_on(model, request),))
