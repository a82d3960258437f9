"""What a level policy must do."""

from collections.abc import Mapping
from typing import Protocol

from safelight.control.levels.load import NO_LOAD, FleetLoad
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest


class LevelPolicy(Protocol):
    """Makes the route of each request."""

    @property
    def name(self) -> str: ...

    def route(self, request: ImageRequest, models: Mapping[str, ModelSpec], load: FleetLoad = NO_LOAD) -> Route:
        """Return the levels of `request`, which keep what its client has set; `models` are the served ones, by name.

        Raises:
            RequestError: if no level can serve it.
        """
        ...
