"""Requests that arrive before a worker that serves them has ever been ready."""

from typing import Final

from safelight.cascade.cascade import Cascade
from safelight.core.errors import ExtensionError, Rejected, RequestError, UnknownModel
from safelight.core.level import Level, Route
from safelight.core.model import ModelSpec
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.simulator.simulation import Simulation

NOT_READY: Final = "not_ready"


def refused_early(
    request: ImageRequest, error: Rejected | RequestError | ExtensionError, simulation: Simulation, *, now: float
) -> Outcome | None:
    """Return the record of a refusal that the controller has none of; None if no worker will ever serve the request.

    Args:
        request: that has arrived.
        error: why it was refused.
        simulation: with all models, also of workers that are still starting.
        now: on the virtual clock.
    """
    specs = {model.spec.name: model.spec for worker in simulation.workers for model in worker.models}
    spec = _spec_of(request, specs, simulation.control.cascades)
    if spec is None or not isinstance(error, Rejected | UnknownModel):
        return None
    scale = spec.guidance_scale if request.guidance_scale is None else request.guidance_scale
    level = Level(
        model=spec.name,
        steps=request.steps or spec.steps,
        guidance_scale=scale,
        guidance=spec.guidance,
        sampler=request.sampler or spec.sampler,
    )
    return Outcome(
        request=request,
        route=Route(levels=(level,)),
        status="rejected",
        reason=error.reason if isinstance(error, Rejected) else NOT_READY,
        total_s=now - request.arrived_s,
    )


def _spec_of(request: ImageRequest, specs: dict[str, ModelSpec], cascades: tuple[Cascade, ...]) -> ModelSpec | None:
    """Return the model that a request would begin with."""
    if request.model is None:
        return next(iter(specs.values()), None)
    light = next((cascade.light for cascade in cascades if cascade.name == request.model), request.model)
    return specs.get(light)
