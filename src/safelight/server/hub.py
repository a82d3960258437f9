"""Drives the controller with the real clock: requests and worker events in, commands to workers and tickets out."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from safelight.control.commands import Assign, Command, Deliver, Dismissed, Foretell, GiveUp, Recall, Reject
from safelight.control.events import (
    Arrived,
    DrainBegan,
    Event,
    Reported,
    TimePassed,
    Withdrawn,
    WorkerJoined,
    WorkerLeft,
)
from safelight.control.fleet import DRAIN_RETRY_S, FleetController
from safelight.core.clock import Clock
from safelight.core.errors import Draining
from safelight.core.model import ModelSpec
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import (
    AdapterAdded,
    AdapterRefused,
    Cancel,
    Prefetch,
    Ready,
    Run,
    Stepped,
    Ticked,
    WorkerEvent,
)
from safelight.server.adapters import Adapters
from safelight.server.control_service import ControlService
from safelight.server.errors import CannotServe, HttpError, cancelled, not_ready, shut_down
from safelight.server.logs import Log
from safelight.server.metrics import Metrics
from safelight.server.outcomes import OutcomeLog
from safelight.server.recent import RecentPictures
from safelight.server.tickets import Delivery, Preview, Ticket
from safelight.server.workers import Crew

PULSE_S = 1.0
"""How often the controller is told that time has passed."""

NOT_READY_RETRY_S = 5.0
"""About how long a worker takes to load its models."""


@dataclass(frozen=True, kw_only=True)
class HubParts:
    """What a hub works with."""

    controller: FleetController
    crew: Crew
    control: ControlService | None
    clock: Clock
    metrics: Metrics
    outcomes: OutcomeLog
    log: Log


class Hub:
    """Owns the controller; every call happens on the event loop and none blocks."""

    def __init__(self, parts: HubParts) -> None:
        self.controller = parts.controller
        self._crew = parts.crew
        self._control = parts.control
        self._clock = parts.clock
        self._metrics = parts.metrics
        self._outcomes = parts.outcomes
        self._log = parts.log
        self._models: dict[str, ModelSpec] = {}
        self._tickets: dict[str, Ticket] = {}
        self._is_draining = False
        self.adapters = Adapters(parts.crew.broadcast)
        self._idle = asyncio.Event()
        self._idle.set()
        self.first_ready = asyncio.Event()
        self.collapse: asyncio.Future[CannotServe] = asyncio.get_running_loop().create_future()
        self.recent = RecentPictures(now_s=parts.clock.now_s())

    @property
    def models(self) -> Mapping[str, ModelSpec]:
        """The served models by name, in the order in which workers named them."""
        return self._models

    @property
    def now_s(self) -> float:
        """The time on the hub's clock."""
        return self._clock.now_s()

    @property
    def waiting_count(self) -> int:
        """How many pictures wait for a worker."""
        return len(self.controller.waiting)

    @property
    def running_count(self) -> int:
        """How many pictures are with a worker."""
        return len(self.controller.running)

    def check_ready(self) -> None:
        """Raise HttpError while a part is missing, and Draining once the server is about to end."""
        self._check_workers()
        if self._control and not self._control.is_ready:
            raise not_ready("The control service is not ready; pictures without ControlNets are.", NOT_READY_RETRY_S)

    def check_open(self) -> None:
        """Raise as `check_ready` does if a request cannot be taken, and count the refusal.

        While the control service starts again, requests are taken: those that need it wait in their worker.
        """
        try:
            self._check_workers()
        except Draining:
            self._metrics.refused("draining")
            raise
        except HttpError:
            self._metrics.refused("not_ready")
            raise

    def _check_workers(self) -> None:
        if self._is_draining:
            raise Draining(retry_after_s=DRAIN_RETRY_S)
        if not self._crew.ready_count or self.adapters.are_awaited:
            raise not_ready("No worker is ready; models are being loaded.", NOT_READY_RETRY_S)

    def submit(self, requests: Sequence[ImageRequest], *, partial_images: int = 0) -> tuple[Ticket, ...]:
        """Take all of `requests`, or none.

        Raises:
            Rejected: when one is not taken.
            RequestError: when one names adapters that it cannot have.
        """
        tickets: list[Ticket] = []
        for named in requests:
            request = self.adapters.bind(named)
            ticket = Ticket(named.without_pictures(), partial_images=partial_images)
            tickets.append(ticket)
            self._tickets[request.id] = ticket
            self._idle.clear()
            self._handle(Arrived(request))
            if ticket.delivery.done() and (refusal := ticket.delivery.exception()):
                for taken in tickets:
                    self.withdraw(taken.request.id)
                raise refusal
        return tuple(tickets)

    def withdraw(self, request_id: str, reason: HttpError | None = None) -> bool:
        """Stop working on a picture that nobody wants; returns whether it was still to come.

        Whoever still waits for it is told `reason`, by default that it was cancelled.
        """
        ticket = self._tickets.get(request_id)
        if ticket is None or ticket.delivery.done():
            return False
        ticket.fail(reason or cancelled())
        self._handle(Withdrawn(request_id))
        return True

    def withdraw_all(self) -> int:
        """Stop working on everything, since the server ends; returns how many pictures that is."""
        return sum(self.withdraw(request_id, shut_down()) for request_id in list(self._tickets))

    def begin_drain(self) -> None:
        """Take nothing new from now on."""
        self._is_draining = True
        self._handle(DrainBegan())

    async def idle(self) -> None:
        """Wait until every accepted request has ended."""
        await self._idle.wait()

    def preview(self, request_id: str) -> Preview | None:
        """Return the latest preview of a running picture."""
        ticket = self._tickets.get(request_id)
        return ticket.latest if ticket else None

    async def pulse(self) -> None:
        """Tell the controller again and again that time has passed, until cancelled."""
        while True:
            await asyncio.sleep(PULSE_S)
            self._handle(TimePassed())

    def joined(self, worker: str, ready: Ready) -> None:
        """A worker is ready."""
        for model in ready.models:
            self._models.setdefault(model.name, model)
        self._log.info("worker ready", worker=worker, models=[model.name for model in ready.models])
        for command in self.adapters.commands:
            self._crew.send(worker, command)
        self._handle(WorkerJoined(worker, ready))
        self.note_ready()

    def left(self, worker: str, reason: str) -> None:
        """A worker that was ready is gone."""
        self._log.warning("worker lost", worker=worker, reason=reason)
        self._handle(WorkerLeft(worker, reason))

    def reported(self, worker: str, events: Sequence[WorkerEvent]) -> None:
        """A worker has said something."""
        for event in events:
            match event:
                case Stepped() if event.preview and (ticket := self._tickets.get(event.request_id)):
                    ticket.progress(event)
                case Ticked():
                    self._metrics.ticked(event)
                case AdapterAdded() | AdapterRefused():
                    self.adapters.heard(event)
                    self.note_ready()
            self._handle(Reported(worker, event))

    def restarting(self, worker: str) -> None:
        """A successor of this worker is about to start."""
        self._metrics.worker_restarted()

    def collapsed(self, error: CannotServe) -> None:
        """No worker is ready, and none will be."""
        if not self.collapse.done():
            self.collapse.set_result(error)

    def note_ready(self) -> None:
        """A part of the server has become ready."""
        with contextlib.suppress(HttpError, Draining):
            self.check_ready()
            self.first_ready.set()

    def _handle(self, event: Event) -> None:
        for command in self.controller.handle(event, self._clock.now_s()):
            self._obey(command)

    def _obey(self, command: Command) -> None:
        match command:
            case Assign(worker=worker, job=job):
                if job.attempt > 1:
                    self._log.warning("picture runs again", id=job.request.id, attempt=job.attempt, worker=worker)
                self._crew.send(worker, Run(job=job))
            case Recall(worker=worker, request_id=request_id):
                self._crew.send(worker, Cancel(request_id=request_id))
            case Foretell(worker=worker, adapters=adapters):
                self._crew.send(worker, Prefetch(handles=adapters))
            case Deliver(finished=finished, outcome=outcome):
                self.recent.add(now_s=self._clock.now_s(), total_s=outcome.total_s)
                ticket = self._close(outcome)
                ticket.deliver(Delivery(request=ticket.request, finished=finished, outcome=outcome))
            case Reject(error=error, outcome=outcome) | GiveUp(error=error, outcome=outcome):
                self._close(outcome).fail(error)
            case Dismissed(outcome=outcome):
                self._close(outcome).fail(cancelled())

    def _close(self, outcome: Outcome) -> Ticket:
        """Record an end, with the request as it was asked for: handles of adapters are between hub and workers."""
        ticket = self._tickets.pop(outcome.request.id)
        request = ticket.request
        self._metrics.ended(outcome)
        self._outcomes.add(msgspec.structs.replace(outcome, request=request))
        self._log.info(
            "picture " + outcome.status,
            id=request.id,
            model=request.model,
            reason=outcome.reason or None,
            worker=outcome.worker,
            queue_s=round(outcome.queue_s, 4),
            compute_s=round(outcome.compute_s, 4),
            total_s=round(outcome.total_s, 4),
            retries=outcome.retries,
        )
        self.adapters.release(request.id)
        if not self._tickets:
            self._idle.set()
        return ticket
