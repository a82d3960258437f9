"""The parts that HTTP handlers share: built when the server starts, ended when it stops."""

import asyncio
from functools import partial
from typing import Annotated, Self

from fastapi import Depends, Request

from safelight.control.config import ControlConfig
from safelight.control.fleet import FleetController
from safelight.control.levels.constraints import find_model
from safelight.core.log import Log
from safelight.core.model import ModelSpec
from safelight.local.adapter_folder import find_adapters
from safelight.local.controlnet_service import ControlNetServiceProcess
from safelight.local.pool import LocalPool
from safelight.server.access import Access
from safelight.server.bodies import Bodies, BodyBudget
from safelight.server.idempotency import ResponseStore
from safelight.server.painter import Painter
from safelight.server.picture_encoder import PictureEncoder
from safelight.server.picture_store import PictureStore
from safelight.server.settings import ServerSettings
from safelight.server.spans import Spans
from safelight.service.clock import MonotonicClock
from safelight.service.fleet_metrics import FleetCollector
from safelight.service.loop_lag import LoopLag
from safelight.service.metrics import Metrics
from safelight.service.outcome_log import OutcomeLog
from safelight.service.process_metrics import register_process_metrics
from safelight.service.service import Service, ServiceParts, call_later


class ServerState:
    """The parts of one running server."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        access: Access,
        outcomes: OutcomeLog,
        metrics: Metrics,
        spans: Spans,
        log: Log,
    ) -> None:
        self.settings = settings
        self.access = access
        self._spans = spans
        self.metrics = metrics
        self.log = log
        self.outcomes = outcomes
        self.controlnets = (
            ControlNetServiceProcess(settings.controlnet_argv, log=log, liveness=settings.liveness)
            if settings.controlnet_argv
            else None
        )
        options = self.controlnets.worker_options if self.controlnets else ()
        clock = MonotonicClock()
        self.service = Service(
            ServiceParts(
                controller=FleetController(_control_config(settings)),
                pool=LocalPool(
                    (*settings.worker_argv, *options),
                    size=settings.workers,
                    log=log,
                    tireless=True,
                    beat_s=settings.liveness.beat_s,
                ),
                clock=clock,
                metrics=self.metrics,
                outcomes=self.outcomes,
                log=log,
                on_end=spans.ended,
                epoch_s=clock.epoch_s(),
                reuse=settings.reuse,
            )
        )
        self.loop_lag = LoopLag(metrics.registry, clock=clock, call_later=call_later, log=log)
        register_process_metrics(metrics.registry, self.service.pool)
        metrics.registry.register(FleetCollector(self.service.controller, clock.now_s))
        self.bodies = Bodies(budget=BodyBudget(settings.body_budget_bytes), json_limits=settings.json_limits)
        self.metrics.of_bodies.watch(
            held_bytes=lambda: self.bodies.budget.held_bytes, budget_bytes=settings.body_budget_bytes
        )
        self.encoder = PictureEncoder(max_decoding=settings.max_decoding)
        self.painter = Painter(service=self.service, encoder=self.encoder, spans=spans)
        self.pictures = PictureStore(max_pictures=settings.max_stored, max_bytes=settings.max_stored_bytes)
        self.responses = ResponseStore(max_responses=settings.max_stored, max_bytes=settings.max_stored_bytes)

    async def __aenter__(self) -> Self:
        """Start the workers, without waiting for them."""
        self.loop_lag.start()
        if self.controlnets:
            self.controlnets.start(
                on_change=partial(self.service.part_changed, "ControlNet service"), on_collapse=self.service.collapsed
            )
        await self.service.reuse.load()
        self.service.start(find_adapters(self.settings.adapters))
        self._watching = asyncio.create_task(self.access.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        self.access.report_wrong_keys(is_end=True)
        self.loop_lag.stop()
        await self.service.stop()
        if self.controlnets:
            await self.controlnets.stop()
        self.encoder.close()
        self.bodies.thread.close()
        self.outcomes.close()
        await self._spans.close()


def _control_config(settings: ServerSettings) -> ControlConfig:
    return ControlConfig(
        max_waiting=settings.max_waiting,
        max_waiting_per_tenant=settings.max_waiting_per_tenant,
        lookahead_rows=settings.lookahead_rows,
        tenants_share_queue=settings.keys is not None,
        liveness=settings.liveness,
        cascades=settings.cascades,
        policies=settings.policies,
    )


def state_of(request: Request) -> ServerState:
    """Return the state of the application that received `request`."""
    state: ServerState = request.app.state.server
    return state


def model_of(name: str | None, state: ServerState) -> ModelSpec:
    """Return the model or cascade with this name or alias, or the first one for None; raises UnknownModel."""
    return find_model(None if name is None else state.settings.aliases.get(name, name), state.service.named)


async def _depended_on(request: Request) -> ServerState:
    return state_of(request)


TheState = Annotated[ServerState, Depends(_depended_on)]
