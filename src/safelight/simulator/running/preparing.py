"""From a scenario and one of its runs to what the simulator takes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safelight.core.adapter import AdapterSpec
from safelight.core.level import Level
from safelight.core.request import ImageRequest
from safelight.simulator.errors import BadScenario
from safelight.simulator.results.figures import RunKey
from safelight.simulator.scenario.arrivals import Arrivals, arrivals_of
from safelight.simulator.scenario.request_kinds import Size
from safelight.simulator.scenario.requests import RequestMaker, adapter_names_of
from safelight.simulator.scenario.scenario import Scenario
from safelight.simulator.scenario.served_models import ServedModel, served_models, solo_s


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The models of each group, by the group's name and the model's."""

    served: Mapping[str, Mapping[str, ServedModel]]
    speeds: Mapping[str, float]

    def sizes(self) -> dict[str, Size]:
        """Return the own size of each model that some group serves."""
        return {
            name: (model.spec.width, model.spec.height) for group in self.served.values() for name, model in group.items()
        }

    def solo_s(self, model: str, steps: int, size: Size, guidance_scale: float | None) -> float:
        """Return the seconds of a request alone on the fastest worker that serves its model."""
        return min(
            solo_s(group[model], _level(group[model], steps, guidance_scale), width=size[0], height=size[1])
            / self.speeds[name]
            for name, group in self.served.items()
            if model in group
        )
