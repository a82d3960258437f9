"""`[models.NAME]`: what the fleet serves."""

from typing import Any

import msgspec

from safelight.core.errors import nearest
from safelight.core.level import MAX_STEPS
from safelight.core.model import Guidance
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import Bytes, Count, NotNegative

SAMPLER = "euler"


class StepsQuality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The quality of pictures with this many steps."""

    steps: Count
    quality: float


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model.

    Attributes:
        profile: what was measured of it: a path beside the scenario, a built-in name, or a table of a profile's keys.
        family: the name of its model family, for records.
        steps: for requests that set none.
        guidance_scale: for requests that set none.
        guidance: how it is guided.
        sampler: for requests that set none.
        samplers: all that requests may name; None allows `sampler` only.
        width, height: its own size in pixels; None is that of the profile.
        size_multiple: both sides of a picture must be multiples of this.
        max_side: the longest side in pixels; None is four times the longer side of its own size.
        weights_bytes: on the device; None is what the profile has.
        quality: of its pictures: one number, or by steps; None is what the profile has.
    """

    profile: str | dict[str, Any]
    family: str = ""
    steps: Count = 50
    guidance_scale: NotNegative = 5.0
    guidance: Guidance = "classifier-free"
    sampler: str = SAMPLER
    samplers: tuple[str, ...] | None = None
    width: Count | None = None
    height: Count | None = None
    size_multiple: Count = 1
    max_side: Count | None = None
    weights_bytes: Bytes | None = None
    quality: float | tuple[StepsQuality, ...] | None = None

    def quality_at(self, steps: int) -> float | None:
        """Return the quality of pictures with so many steps: between two that are given, on a line; None if unknown."""
        if not isinstance(self.quality, tuple):
            return self.quality
        known = sorted((each.steps, each.quality) for each in self.quality)
        if not known or not known[0][0] <= steps <= known[-1][0]:
            return None
        for (low, at_low), (high, at_high) in zip(known, known[1:] or known, strict=False):
            if low <= steps <= high:
                return at_low + (at_high - at_low) * (steps - low) / max(1, high - low)
        return None


def check_model(model: ModelEntry, place: str) -> None:
    """Raise BadScenario for defaults that no request could have."""
    if model.steps > MAX_STEPS:
        raise BadScenario(f"is {model.steps}; it must be at most {MAX_STEPS}.", place=f"{place}.steps")
    if model.samplers is not None and model.sampler not in model.samplers:
        raise BadScenario(f"is {model.sampler!r}; {nearest(model.sampler, model.samplers)}", place=f"{place}.sampler")
    if isinstance(model.quality, tuple):
        steps = [each.steps for each in model.quality]
        if len(set(steps)) < len(steps):
            raise BadScenario("names the same number of steps twice.", place=f"{place}.quality")
