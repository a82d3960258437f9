"""All that the HTTP handlers share: built when the server starts, ended when it stops."""

import asyncio
from typing import Annotated, Self

from fastapi import Depends, Request

from safelight.control.fleet import ControlConfig, FleetController
from safelight.core.model import ModelSpec
from safelight.server.adapter_folder import find_adapters
from safelight.server.clock import MonotonicClock
from safelight.server.control_service import ControlService
from safelight.server.hub import Hub, HubParts
from safelight.server.idempotency import ResponseStore
from safelight.server.logs import Log
from safelight.server.metrics import Metrics
from safelight.server.orders import find_model
from safelight.server.outcomes import OutcomeLog
from safelight.server.painter import Painter
from safelight.server.picture_encoder import PictureEncoder
from safelight.server.picture_store import PictureStore
from safelight.server.settings import ServerSettings
from safelight.server.workers import Crew


class Service:
    """The parts of one running server."""

    def __init__(self, settings: ServerSettings, *, outcomes: OutcomeLog, log: Log) -> None:
        self.settings = settings
        self._log = log
        self.metrics = Metrics()
        self.outcomes = outcomes
        self.control = ControlService(settings.control_argv, log=log) if settings.control_argv else None
        options = self.control.worker_options if self.control else ()
        self.crew = Crew((*settings.worker_argv, *options), size=settings.workers, log=log)
        self.hub = Hub(
            HubParts(
                controller=FleetController(ControlConfig(max_waiting=settings.max_waiting)),
                crew=self.crew,
                control=self.control,
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
        self.metrics.watch(
            waiting=lambda: self.hub.waiting_count,
            running=lambda: self.hub.running_count,
            workers=lambda: self.crew.ready_count,
        )

    async def __aenter__(self) -> Self:
        """Start the workers, without waiting for them."""
        self.hub.adapters.begin_with(find_adapters(self.settings.adapters), self._log)
        if self.control:
            self.control.start(on_ready=self.hub.note_ready, on_collapse=self.hub.collapsed)
        self.crew.start(self.hub)
        self._pulse = asyncio.create_task(self.hub.pulse())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started."""
        self._pulse.cancel()
        await self.crew.stop()
        if self.control:
            await self.control.stop()
        self.encoder.close()
        self.outcomes.close()


def service_of(request: Request) -> Service:
    """Return the service of the application that received `request`."""
    service: Service = request.app.state.service
    return service


def model_of(name: str | None, service: Service) -> ModelSpec:
    """Return the model with this name or alias, or the first one for None; raises UnknownModel."""
    return find_model(None if name is None else service.settings.aliases.get(name, name), service.hub.models)


async def _depended_on(request: Request) -> Service:
    return service_of(request)


TheService = Annotated[Service, Depends(_depended_on)]
