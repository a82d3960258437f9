"""Outcomes for tests of results."""

from safelight.core.level import Level, Route
from safelight.core.outcome import Outcome, StageOutcome
from safelight.core.request import ImageRequest

LEVEL = Level(model="m", steps=10, guidance_scale=1.0, sampler="euler")


def outcome_of(arrived_s=0.0, total_s=1.0, *, deadline_s=None, status="finished", queue_s=0.0, model="m"):
    """Return the outcome of one request."""
    level = Level(model=model, steps=10, guidance_scale=1.0, sampler="euler")
    request = ImageRequest(
        id=f"{arrived_s}", prompt="", width=64, height=64, seed=0, arrived_s=arrived_s, deadline_s=deadline_s
    )
    stages = () if status == "rejected" else (StageOutcome(level=level, worker="w", queue_s=queue_s, total_s=total_s),)
    return Outcome(request=request, route=Route(levels=(level,)), status=status, total_s=total_s, stages=stages)
