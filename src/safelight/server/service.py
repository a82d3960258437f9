"""The parts that HTTP handlers share: built when the server starts, ended when it stops."""

from functools import partial
from typing import Annotated, Self

from fastapi import Depends, Request

from safelight.control.config import ControlConfig
from safelight.control.fleet import FleetController
from safelight.core.log import Log
from safelight.local.controlnet_service import ControlNetService
from safelight.local.pool import LocalPool
from safelight.server.adapter_folder import find_adapters
from safelight.server.idempotency import ResponseStore
from safelight.server.painter import Painter
from safelight.server.picture_encoder import PictureEncoder
from safelight.server.picture_store import PictureStore
from safelight.server.settings import ServerSettings
from safelight.service.clock import MonotonicClock
from safelight.service.metrics import Metrics
from safelight.service.outcome_log import OutcomeLog
from safelight.service.service import Service as PictureService
from safelight.service.service import ServiceParts


class Service:
    """The parts of one running server."""

    def __init__(self, settings: ServerSettings, *, outcomes: OutcomeLog, log: Log) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.outcomes = outcomes
        self.controlnets = ControlNetService(settings.controlnet_argv, log=log) if settings.controlnet_argv else None
        options = self.controlnets.worker_options if self.controlnets else ()
        self.hub = PictureService(
            ServiceParts(
                controller=FleetController(ControlConfig(max_waiting=settings.max_waiting, policies=settings.policies)),
                pool=LocalPool((*settings.worker_argv, *options), size=settings.workers, log=log),
                clock=MonotonicClock(),
                metrics=self.metrics,
                outcomes=self.outcomes,
                log=log,
            )
        )
        self.encoder = PictureEncoder()
        self.painter = Painter(hub=self.hub, encoder=self.encoder)
        self.pictures = PictureStore(max_pictures=settings.max_stored, max_bytes=settings.max_stored_bytes)
        self.responses = ResponseStore(max_responses=settings.max_stored, max_bytes=settings.max_stored_bytes)

    async def __aenter__(self) -> Self:
        """Start the workers, without waiting for them."""
        if self.controlnets:
            self.controlnets.start(
                on_change=partial(self.hub.part_changed, "ControlNet service"), on_collapse=self.hub.collapsed
            )
        self.hub.start(find_adapters(self.settings.adapters))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all that was started."""
        await self.hub.stop()
        if self.controlnets:
            await self.controlnets.stop()
        self.encoder.close()
        self.outcomes.close()


def service_of(request: Request) -> Service:
    """Return the service of the application that received `request`."""
    service: Service = request.app.state.service
    return service


async def _depended_on(request: Request) -> Service:
    return service_of(request)


TheService = Annotated[Service, Depends(_depended_on)]
