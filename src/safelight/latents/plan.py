"""From a choice to a level: which estimate, and at which step the picture begins."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from safelight.core.level import Level, Route
from safelight.core.source import LatentsHandle
from safelight.latents.entry import Entry
from safelight.latents.predictor import StartChoice

SAME_NOISE = 1e-6


@dataclass(frozen=True, kw_only=True)
class ReusePlan:
    """How the first stage of a request is served if its route begins with `level`: as `served`."""

    level: Level
    served: Level

    def applied(self, route: Route) -> Route:
        """Return the route with this plan, or the route itself if it begins otherwise."""
        if route.levels[0] != self.level:
            return route
        return msgspec.structs.replace(route, levels=(self.served, *route.levels[1:]))


def step_at(noises: Sequence[float], noise: float) -> int:
    """Return the first step that starts at a level of at most `noise`; the last one if none does."""
    return min(sum(each > noise + SAME_NOISE for each in noises), len(noises) - 1)


def started(level: Level, entry: Entry, choice: StartChoice, noises: Sequence[float]) -> Level | None:
    """Return `level` with a start from an entry as chosen, or None if that would save no step.

    An estimate serves its own level and those of more noise, so the start is not below the lowest one; of those that
    serve it, the one of the most noise is taken, which says least about details.

    Args:
        level: in full.
        entry: with estimates.
        choice: of a level predictor.
        noises: the noise level at which each step of `level` starts.
    """
    if choice.noise is None or not entry.noises:
        return None
    noise = max(choice.noise, min(entry.noises))
    first_step = step_at(noises, noise)
    if first_step <= level.first_step:
        return None
    reached = noises[first_step]
    captured = [each for each in entry.noises if each <= max(reached, noise) + SAME_NOISE]
    handle = entry.latents_ids[entry.noises.index(max(captured))]
    return msgspec.structs.replace(level, start=LatentsHandle(handle), first_step=first_step)
