"""The fleet's controller: what happened goes in, what is to be done comes out."""

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from safelight.control import admission
from safelight.control.commands import Assign, Command, Deliver, Dismissed, GiveUp, Recall, Reject
from safelight.control.dispatch import dispatch
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
from safelight.control.forecast import Expectation, foresee
from safelight.control.order import Place
from safelight.control.station import Station
from safelight.control.ticket import Ticket
from safelight.core.errors import Draining, Rejected, WorkFailed
from safelight.core.model import ModelSpec
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import (
    AdapterAdded,
    AdapterRefused,
    Captured,
    Dropped,
    Failed,
    Finished,
    Paused,
    Ready,
    Started,
    Stepped,
    Ticked,
    WorkerEvent,
)

MAX_WAITING: Final = 256
MAX_WAITING_BYTES: Final = 1 << 30
MAX_ATTEMPTS: Final = 3
LOOKAHEAD_ROWS: Final = 4
ORPHAN_WAIT_S: Final = 120.0
DRAIN_RETRY_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """What the controller may do.

    Attributes:
        max_waiting: requests that may wait for a worker.
        max_waiting_bytes: what the pictures that came with them may take; one request alone may have more.
        max_attempts: workers that one request may lose before it is given up; the last one it has for itself.
        lookahead_rows: denoiser rows that a worker gets beyond what one call takes, to fill a freed row at once.
        orphan_wait_s: how long a request waits while no live worker serves its model.
    """

    max_waiting: int = MAX_WAITING
    max_waiting_bytes: int = MAX_WAITING_BYTES
    max_attempts: int = MAX_ATTEMPTS
    lookahead_rows: int = LOOKAHEAD_ROWS
    orphan_wait_s: float = ORPHAN_WAIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A request that a worker has; `step` of its steps are done."""

    request: ImageRequest
    worker: str
    step: int
    attempt: int
    has_started: bool
    is_withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoad:
    """A live worker and what it holds; one denoiser call takes `max_denoiser_rows`."""

    worker: str
    models: tuple[str, ...]
    pictures: int
    denoiser_rows: int
    max_denoiser_rows: int


class FleetController:
    """Decides for all workers of one server; the same events at the same times give the same commands."""

    def __init__(self, config: ControlConfig) -> None:
        self._config = config
        self._tickets: dict[str, Ticket] = {}
        self._queue: list[Ticket] = []
        self._stations: dict[str, Station] = {}
        self._models: dict[str, ModelSpec] = {}
        self._unserved_since: dict[str, float] = {}
        self._sequence = 0
        self._is_draining = False
        self._forecast: tuple[float, dict[str, Expectation]] | None = None

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take in what happened at `now`, on the clock of `ImageRequest.arrived_s`, and return what is to be done."""
        self._forecast = None
        commands: list[Command] = []
        match event:
            case Arrived(request):
                commands = self._arrive(request, now)
            case Withdrawn(request_id):
                commands = self._withdraw(request_id, now)
            case WorkerJoined(worker, ready):
                commands = self._join(worker, ready, now)
            case WorkerLeft(worker, reason):
                commands = self._leave(worker, reason, now)
            case Reported(worker, report):
                commands = self._hear(worker, report, now)
            case DrainBegan():
                self._is_draining = True
            case TimePassed():
                commands = self._give_up_orphans(now)
        if commands or not isinstance(event, Reported):
            commands += self._foretell()
        return commands

    @property
    def models(self) -> Mapping[str, ModelSpec]:
        """Every model that a worker has ever served here, by name, whether or not one does at the moment."""
        return self._models

    @property
    def is_draining(self) -> bool:
        """Whether new requests are turned away for good."""
        return self._is_draining

    @property
    def is_drained(self) -> bool:
        """Whether nothing new is taken and everything accepted has ended."""
        return self._is_draining and not self._tickets

    @property
    def waiting(self) -> tuple[ImageRequest, ...]:
        """Accepted requests without a worker, in the order in which they will get one."""
        return tuple(ticket.request for ticket in self._queue)

    @property
    def running(self) -> tuple[Running, ...]:
        """Requests that are with a worker, by worker and then by order of assignment."""
        return tuple(
            Running(
                request=ticket.request,
                worker=station.name,
                step=ticket.step,
                attempt=ticket.attempt,
                has_started=ticket.started_s is not None,
                is_withdrawn=ticket.is_withdrawn,
            )
            for station in self._stations.values()
            for ticket in station.tickets.values()
        )

    @property
    def workers(self) -> tuple[WorkerLoad, ...]:
        """The live workers, in order of joining."""
        return tuple(
            WorkerLoad(
                worker=station.name,
                models=tuple(station.profiles),
                pictures=len(station.tickets),
                denoiser_rows=station.used_rows,
                max_denoiser_rows=station.max_denoiser_rows,
            )
            for station in self._stations.values()
        )

    def is_served(self, model: str) -> bool:
        """Whether a live worker serves `model`."""
        return any(station.serves(model) for station in self._stations.values())

    def position(self, request_id: str) -> int | None:
        """Return how many requests wait ahead of this one, or None when it does not wait."""
        return next((index for index, ticket in enumerate(self._queue) if ticket.id == request_id), None)

    def expected(self, now: float) -> Mapping[str, Expectation]:
        """Return what to expect of all accepted requests that a live worker serves, if nothing else arrives."""
        if self._forecast is None or self._forecast[0] != now:
            lanes = [station.lane() for station in self._stations.values()]
            self._forecast = (now, foresee(lanes, [ticket.row() for ticket in self._queue], now=now))
        return self._forecast[1]

    def expected_start_s(self, request_id: str, now: float) -> float | None:
        """Return when this request had or will have its first tick, or None when nobody can tell."""
        ticket = self._tickets.get(request_id)
        if ticket is not None and ticket.started_s is not None:
            return ticket.started_s
        expectation = self.expected(now).get(request_id)
        return None if expectation is None else expectation.start_s

    def expected_finish_s(self, request_id: str, now: float) -> float | None:
        """Return when this request's picture will be ready, or None when nobody can tell."""
        expectation = self.expected(now).get(request_id)
        return None if expectation is None else expectation.finish_s

    def _arrive(self, request: ImageRequest, now: float) -> list[Command]:
        assert request.id not in self._tickets, f"{request.id} has arrived before"
        if self._is_draining:
            return [_rejection(request, Draining(retry_after_s=DRAIN_RETRY_S), now)]
        ticket = Ticket(request=request, sequence=self._sequence)
        stations = list(self._stations.values())
        was_full = self._is_full_for(request)
        if was_full and not any(station.is_open for station in stations):
            return [self._refusal(request, now)]
        error = admission.lateness(ticket, stations=stations, waiting=self._queue, now=now)
        if error is not None:
            return [_rejection(request, error, now)]
        self._sequence += 1
        self._tickets[ticket.id] = ticket
        insort(self._queue, ticket, key=_place)
        commands = self._dispatch(now)
        if was_full and ticket.worker is None:
            self._queue.remove(ticket)
            del self._tickets[ticket.id]
            commands.append(self._refusal(request, now))
        return commands

    def _is_full_for(self, request: ImageRequest) -> bool:
        if len(self._queue) >= self._config.max_waiting:
            return True
        if not request.held_bytes:
            return False
        held_bytes = sum(ticket.request.held_bytes for ticket in self._queue)
        return held_bytes > 0 and held_bytes + request.held_bytes > self._config.max_waiting_bytes

    def _refusal(self, request: ImageRequest, now: float) -> Command:
        stations = list(self._stations.values())
        return _rejection(request, admission.queue_full(request.model, stations=stations, waiting=self._queue), now)

    def _withdraw(self, request_id: str, now: float) -> list[Command]:
        ticket = self._tickets.get(request_id)
        if ticket is None or ticket.is_withdrawn:
            return []
        station = self._station_of(ticket)
        if station is None:
            self._queue.remove(ticket)
            return [self._dismiss(ticket, now), *self._dispatch(now)]
        ticket.is_withdrawn = True
        return [Recall(station.name, request_id)]

    def _join(self, worker: str, ready: Ready, now: float) -> list[Command]:
        assert worker not in self._stations, f"{worker} is here already"
        self._stations[worker] = Station(worker, ready, lookahead_rows=self._config.lookahead_rows)
        for spec in ready.models:
            self._models[spec.name] = spec
        return self._dispatch(now)

    def _leave(self, worker: str, reason: str, now: float) -> list[Command]:
        station = self._stations.pop(worker, None)
        if station is None:
            return []
        for model in station.profiles:
            if not self.is_served(model):
                self._unserved_since[model] = now
        commands: list[Command] = []
        for ticket in sorted(station.tickets.values(), key=_place):
            commands += self._lose(ticket, reason, now)
        return commands + self._dispatch(now)

    def _lose(self, ticket: Ticket, reason: str, now: float) -> list[Command]:
        """Queue a ticket again whose worker is gone, unless that was its last attempt."""
        if ticket.is_withdrawn:
            return [self._dismiss(ticket, now)]
        if ticket.attempt >= self._config.max_attempts:
            message = f"{ticket.attempt} workers in a row were lost while they had this picture; the last: {reason}"
            return [self._give_up(ticket, "worker_lost", message, now)]
        ticket.begin_again(as_suspect=ticket.attempt + 1 == self._config.max_attempts)
        insort(self._queue, ticket, key=_place)
        return []

    def _hear(self, worker: str, report: WorkerEvent, now: float) -> list[Command]:
        station = self._stations.get(worker)
        if station is None or isinstance(report, Ready | Captured | AdapterAdded | AdapterRefused):
            return []
        if isinstance(report, Ticked):
            station.learn(report)
            return []
        ticket = station.tickets.get(report.request_id)
        return [] if ticket is None else self._follow(ticket, station, report, now)

    def _follow(
        self,
        ticket: Ticket,
        station: Station,
        report: Started | Stepped | Finished | Failed | Dropped | Paused,
        now: float,
    ) -> list[Command]:
        match report:
            case Started():
                ticket.started_s = now
            case Stepped(step=step):
                ticket.step = step
            case Finished() | Failed() | Dropped() | Paused():
                station.release(ticket)
                return [self._end(ticket, report, now), *self._dispatch(now)]
        return []

    def _end(self, ticket: Ticket, report: Finished | Failed | Dropped | Paused, now: float) -> Command:
        if ticket.is_withdrawn:
            return self._dismiss(ticket, now, compute_s=report.compute_s if isinstance(report, Finished) else 0.0)
        match report:
            case Finished(compute_s=compute_s, steps_without_loras=bare):
                del self._tickets[ticket.id]
                outcome = ticket.outcome("finished", now, compute_s=compute_s, steps_without_loras=bare)
                return Deliver(ticket.request, report, outcome)
            case Failed(message=message):
                return self._give_up(ticket, "worker_failed", message, now)
            case Dropped() | Paused():
                return self._give_up(ticket, "worker_failed", "The worker let go of the picture unasked.", now)

    def _give_up_orphans(self, now: float) -> list[Command]:
        orphans = [ticket for ticket in self._queue if self._unserved_s(ticket, now) >= self._config.orphan_wait_s]
        for ticket in orphans:
            self._queue.remove(ticket)
        return [self._give_up(ticket, "no_worker", _no_worker(ticket.request.model), now) for ticket in orphans]

    def _unserved_s(self, ticket: Ticket, now: float) -> float:
        model = ticket.request.model
        if self.is_served(model):
            return 0.0
        return now - max(ticket.request.arrived_s, self._unserved_since.get(model, ticket.request.arrived_s))

    def _dispatch(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for ticket in dispatch(self._queue, list(self._stations.values()), now=now):
            assert ticket.worker is not None
            self._queue.remove(ticket)
            commands.append(Assign(ticket.worker, ticket.job))
        return commands

    def _foretell(self) -> list[Command]:
        words = (station.foretell(self._queue) for station in self._stations.values())
        return [word for word in words if word is not None]

    def _station_of(self, ticket: Ticket) -> Station | None:
        return next((station for station in self._stations.values() if ticket.id in station.tickets), None)

    def _dismiss(self, ticket: Ticket, now: float, *, compute_s: float = 0.0) -> Command:
        del self._tickets[ticket.id]
        outcome = ticket.outcome("cancelled", now, reason="withdrawn", compute_s=compute_s)
        return Dismissed(ticket.request, outcome)

    def _give_up(self, ticket: Ticket, reason: str, message: str, now: float) -> Command:
        del self._tickets[ticket.id]
        outcome = ticket.outcome("failed", now, reason=reason)
        return GiveUp(ticket.request, WorkFailed(message, reason=reason), outcome)


def _place(ticket: Ticket) -> Place:
    return ticket.place


def _rejection(request: ImageRequest, error: Rejected, now: float) -> Command:
    total_s = now - request.arrived_s
    return Reject(request, error, Outcome(request=request, status="rejected", reason=error.reason, total_s=total_s))


def _no_worker(model: str) -> str:
    return f"No worker has served {model!r} for too long; look at the log for why workers do not start."
