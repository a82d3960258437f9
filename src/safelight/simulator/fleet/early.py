"""Requests that arrive before a worker that serves them is ready: a server refuses them, and so does the simulator."""

from collections.abc import Mapping

from safelight.cascade.cascade import Cascade
from safelight.control.levels.constraints import find_model, level_on
from safelight.core.errors import NotReady, Rejected, RequestError, UnknownModel
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.simulator.simulation import Simulation


class EarlyRequests:
    """Tells requests whose model no worker serves yet from requests that no worker of a simulation will ever serve."""

    def __init__(self, simulation: Simulation) -> None:
        self._models: Mapping[str, ModelSpec] = {
            model.spec.name: model.spec for worker in simulation.workers for model in worker.models
        }
        self._cascades: Mapping[str, Cascade] = {cascade.name: cascade for cascade in simulation.control.cascades}

    def refused(
        self, request: ImageRequest, error: Exception, *, ready: Mapping[str, ModelSpec], now: float
    ) -> Outcome | None:
        """Return the record of the refusal; None if the request can never be served.

        Args:
            request: that the controller has refused with `error`.
            error: as the controller gives it.
            ready: models that some worker has served by now.
            now: virtual time.
        """
        if not isinstance(error, NotReady | UnknownModel):
            return None
        cascade = self._cascades.get(request.model or "")
        names = (request.model,) if cascade is None else (cascade.light, cascade.heavy)
        if ready and all(name in ready for name in names):
            return None
        try:
            level = level_on(find_model(names[0], self._models), request)
        except RequestError:
            return None
        return Outcome(
            request=request,
            route=Route(levels=(level,)),
            status="rejected",
            reason=error.reason if isinstance(error, Rejected) else "not_ready",
            total_s=now - request.arrived_s,
        )
