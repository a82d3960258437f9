"""The fleet controller: events in, commands out."""

import math
from collections.abc import Iterable, Mapping

from safelight.adapters.registry import Registered
from safelight.cascade.cascade import Cascade
from safelight.control.arrivals import NOT_READY_RETRY_S, arrive, refusal, route_of
from safelight.control.commands import AnswerOffer, Command, Deliver, Escalated, Kill, Reject, Send, WorkerChanged
from safelight.control.config import ControlConfig
from safelight.control.events import (
    AdapterOffered,
    AdapterRemoved,
    Arrived,
    DrainBegan,
    Event,
    PartChanged,
    Reported,
    TimePassed,
    Withdrawn,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
    WorkerStarting,
)
from safelight.control.fleet_state import FleetState
from safelight.control.fleet_view import Accepted, WorkerLoad
from safelight.control.forecast import Expectation
from safelight.control.levels.naming import named, unlike
from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState
from safelight.core.adapter import AdapterHandle, AdapterSpec
from safelight.core.errors import AdapterFileError, NotReady, Rejected, RequestError
from safelight.core.level import Route
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.core.work import (
    AdapterAdded,
    AdapterEvicted,
    AdapterLoaded,
    AdapterRefused,
    Cancel,
    Dropped,
    Failed,
    Finished,
    Paused,
    Ready,
    Started,
    Ticked,
    WorkerEvent,
)


class FleetController:
    """Decides for all workers of one service; the same events at the same times give the same commands."""

    def __init__(self, config: ControlConfig | None = None) -> None:
        self._fleet = FleetState(config or ControlConfig())

    def know(self, adapters: Iterable[AdapterSpec]) -> tuple[Registered, ...]:
        """Register adapters that every worker knows from its start.

        Raises:
            InvalidParameter, AdapterExists: if a name is not allowed, or taken.
        """
        return self._fleet.adapters.know(adapters)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Return the commands that follow from `event` at `now`, on the clock of `ImageRequest.arrived_s`."""
        ended = self._expire(now, with_now=isinstance(event, TimePassed))
        if isinstance(event, Reported):
            self._fleet.liveness.heard(event.worker, event.event, now)
            commands = ended + self._note_report(event.worker, event.event, now)
            return commands + self._fleet.prefetch(now) if commands else commands
        commands = ended + self._take_in(event, now)
        if commands and isinstance(event, Arrived) and all(isinstance(command, Reject) for command in commands):
            return commands
        return commands + self._fleet.prefetch(now)

    @property
    def next_wakeup_s(self) -> float | None:
        """When to send `TimePassed` if no other event comes first; None if time alone changes nothing.

        A request expires just after its deadline, so that what is ready in the same moment is delivered.
        """
        fleet = self._fleet
        expiry_s = fleet.expiries.next_s
        due_s = [
            moment_s
            for moment_s in (
                fleet.orphans.next_due_s,
                fleet.liveness.next_check_s,
                fleet.plans.next_s,
                fleet.last_chances.next_s,
                None if expiry_s is None else math.nextafter(expiry_s, math.inf),
            )
            if moment_s is not None
        ]
        return min(due_s) if due_s else None

    @property
    def models(self) -> Mapping[str, ModelSpec]:
        """Every model that some worker has served, by name, whether or not one serves it now."""
        return self._fleet.models

    @property
    def named(self) -> Mapping[str, ModelSpec]:
        """What requests may name: `models`, and cascades as if they were models; the default first."""
        return named(self._fleet.models, self._fleet.config.cascades)

    @property
    def cascades(self) -> Mapping[str, Cascade]:
        """The cascades, by name."""
        return self._fleet.cascades

    @property
    def flaw(self) -> str | None:
        """Why some cascade can never work with the models that are served; None if all may."""
        flaws = (unlike(cascade, self._fleet.models) for cascade in self._fleet.config.cascades)
        return next((flaw for flaw in flaws if flaw is not None), None)

    @property
    def policies(self) -> Mapping[str, str]:
        """The name of the policy of each family."""
        return self._fleet.policies.names

    @property
    def adapters(self) -> tuple[Registered, ...]:
        """The adapters that requests may name, by name."""
        return self._fleet.adapters.registered

    def requests_with(self, handle: AdapterHandle, *, tenant: str | None = None) -> int:
        """Return how many accepted requests use an adapter, of one tenant or of all."""
        if tenant is None:
            return self._fleet.adapters.requests_with(handle)
        own = (state for state in self._fleet.requests.values() if state.request.tenant == tenant)
        return sum(handle in state.job.adapters for state in own)

    @property
    def refusal(self) -> Rejected | None:
        """Why no request is accepted now; None if some are."""
        return refusal(self._fleet)

    @property
    def unreadiness(self) -> Rejected | None:
        """What is missing, even if some requests are accepted without it; None if nothing is."""
        missing = next(iter(self._fleet.missing_parts.values()), None)
        lacks_part = None if missing is None else NotReady(missing, retry_after_s=NOT_READY_RETRY_S)
        return self.refusal or lacks_part

    @property
    def is_idle(self) -> bool:
        """Whether everything accepted has ended."""
        return len(self._fleet.requests) == self._fleet.letting_go

    @property
    def waiting_count(self) -> int:
        """How many accepted requests wait for a worker."""
        return len(self._fleet.waiting)

    @property
    def running_count(self) -> int:
        """How many requests are with a worker, without those that have expired there."""
        return len(self._fleet.requests) - len(self._fleet.waiting) - self._fleet.letting_go

    @property
    def waiting(self) -> tuple[Accepted, ...]:
        """Accepted requests without a worker, in the order in which they will get one."""
        return tuple(Accepted.of(state) for state in self._fleet.waiting)

    @property
    def oldest_waiting_s(self) -> float | None:
        """When the oldest request without a worker arrived; None if none waits."""
        return min((state.request.arrived_s for state in self._fleet.waiting), default=None)

    @property
    def running(self) -> tuple[Accepted, ...]:
        """Those of `running_count`, by worker and then by order of assignment."""
        held = (
            state for worker in self._fleet.workers for state in (*worker.requests.values(), *worker.leaving.values())
        )
        return tuple(Accepted.of(state) for state in held if not state.has_ended)

    @property
    def workers(self) -> tuple[WorkerLoad, ...]:
        """The live workers, in order of joining."""
        return tuple(WorkerLoad.of(worker) for worker in self._fleet.workers)

    def busy_workers(self, model: str | None, most: int) -> list[str]:
        """Return workers that hold requests and have room for more: of a model, or each, the `most` of least load."""
        by_model = self._fleet.workers.by_model
        only = None if model is None else by_model.get(model)
        opens = [each.open for each in ([only] if only is not None else by_model.values())]
        some = [own[:most] for own in opens if own and not own[min(most, len(own)) - 1].is_empty]
        return list(dict.fromkeys(worker.name for near in some for worker in near if not worker.is_empty))

    @property
    def suspected_count(self) -> int:
        """How many live workers may hang, and get no new work."""
        return self._fleet.workers.suspected_count

    def is_served(self, model: str) -> bool:
        """Whether a live worker serves `model`."""
        return bool(self._fleet.workers.serving(model))

    def route_of(self, request: ImageRequest, now: float) -> Route:
        """Return the levels that a request would get now, without reuse.

        Raises:
            RequestError, ExtensionError: if it can have none.
        """
        return route_of(self._fleet, request, now)

    def position(self, request_id: str) -> int | None:
        """Return how many requests wait ahead of this one, or None when it does not wait."""
        state = self._fleet.requests.get(request_id)
        return None if state is None or state.is_running else self._fleet.waiting.position(state)

    def expected(self, now: float) -> Mapping[str, Expectation]:
        """Return what to expect of running requests and of the first that wait, if nothing else arrives."""
        return self._fleet.prediction.expected(now)

    def _take_in(self, event: Event, now: float) -> list[Command]:  # noqa: C901, PLR0911 - one branch for each event
        match event:
            case Arrived(requests, reuse):
                return arrive(self._fleet, requests, now, reuse=reuse)
            case Withdrawn(request_id):
                return self._withdraw(request_id, now)
            case WorkerStarting(worker):
                self._fleet.liveness.starting(worker, now)
            case WorkerHeard(worker):
                self._fleet.liveness.heard(worker, None, now)
            case WorkerJoined(worker, ready):
                return self._join(worker, ready, now)
            case WorkerLeft(worker, reason):
                return self._leave(worker, reason, now)
            case AdapterOffered() | AdapterRemoved():
                return self._change_adapters(event, now)
            case TimePassed():
                checked = self._give_up_orphans(now) + self._check_workers(now)
                return checked + self._fleet.rescue(now) + self._fleet.place(now)
            case PartChanged(part, missing):
                self._note_part(part, missing)
            case DrainBegan():
                self._fleet.is_draining = True
        return []

    def _expire(self, now: float, *, with_now: bool) -> list[Command]:
        """End the requests whose deadlines have passed, of clients that want no late pictures."""
        if not with_now and not self._fleet.expiries.has_passed(now):
            return []
        expired = self._fleet.expiries.take(now, with_now=with_now)
        commands = [command for state in expired for command in self._fleet.expire(state, now)]
        return commands + self._fleet.dispatch(now) if expired else commands

    def _withdraw(self, request_id: str, now: float) -> list[Command]:
        state = self._fleet.requests.get(request_id)
        if state is None or state.is_withdrawn:
            return []
        if state.is_running:
            assert state.worker is not None
            state.is_withdrawn = True
            return [Send(state.worker, Cancel(request_id=request_id))]
        self._fleet.release(state)
        return [*self._fleet.dismiss(state, now), *self._fleet.dispatch(now)]

    def _join(self, worker: str, ready: Ready, now: float) -> list[Command]:
        assert worker not in self._fleet.workers, f"{worker} is here already"
        self._fleet.add_worker(worker, ready, now)
        self._fleet.liveness.joined(worker, now)
        return [*(Send(worker, command) for command in self._fleet.adapters.commands), *self._fleet.dispatch(now)]

    def _leave(self, worker: str, reason: str, now: float) -> list[Command]:
        self._fleet.liveness.left(worker)
        commands: list[Command] = []
        for state in self._fleet.remove_worker(worker, now):
            commands += self._lose(state, reason, now)
        return commands + self._fleet.dispatch(now)

    def _lose(self, state: RequestState, reason: str, now: float) -> list[Command]:
        """Queue a request again whose worker has ended, unless that was its last attempt."""
        if state.has_ended:
            return self._fleet.forget(state)
        if state.is_withdrawn:
            return self._fleet.dismiss(state, now, compute_s=state.compute_s)
        attempt, most = state.job.attempt, self._fleet.config.max_attempts
        if attempt >= most:
            message = f"{attempt} workers in a row were lost while they had this picture; the last: {reason}"
            return self._fleet.give_up(state, "worker_lost", message, now)
        state.begin_again(as_suspect=attempt + 1 == most)
        self._fleet.paused_rows.note(state)
        self._fleet.enqueue(state, now)
        return []

    def _change_adapters(self, event: AdapterOffered | AdapterRemoved, now: float) -> list[Command]:
        try:
            if isinstance(event, AdapterOffered):
                return list(self._fleet.broadcast([self._fleet.adapters.offer(event)]))
            spec, commands = self._fleet.adapters.remove(event.name)
        except RequestError as error:
            return [AnswerOffer(event.offer, error)]
        self._fleet.plans.changed(now)
        return [*self._fleet.broadcast(commands), AnswerOffer(event.offer, spec)]

    def _note_part(self, part: str, missing: str | None) -> None:
        if missing is None:
            self._fleet.missing_parts.pop(part, None)
        else:
            self._fleet.missing_parts[part] = missing

    def _give_up_orphans(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for state in self._fleet.orphans.take_expired(self._fleet.waiting, now):
            commands += self._fleet.give_up(state, "no_worker", _no_worker(state.model), now)
        return commands

    def _check_workers(self, now: float) -> list[Command]:
        """Suspect workers that are silent, trust those that speak again, and end those that hang."""
        changes = self._fleet.liveness.check(now, self._longest_effect_s)
        commands: list[Command] = []
        ends: list[Command] = []
        for change in changes:
            worker = self._fleet.workers.get(change.worker)
            match change.state:
                case "hung":
                    ends.append(Kill(change.worker, change.reason))
                case "suspected" if worker is not None:
                    self._fleet.suspect_worker(worker, now)
                    commands.append(WorkerChanged(change.worker, is_suspected=True, reason=change.reason))
                case "responds" if worker is not None:
                    self._fleet.trust_worker(worker)
                    commands.append(WorkerChanged(change.worker, is_suspected=False, reason=""))
        return [*commands, *(self._fleet.dispatch(now) if changes else ()), *ends]

    def _longest_effect_s(self, name: str) -> float:
        worker = self._fleet.workers.get(name)
        return 0.0 if worker is None else worker.longest_effect_s

    def _note_report(self, name: str, report: WorkerEvent, now: float) -> list[Command]:
        worker = self._fleet.workers.get(name)
        if worker is None:
            return []
        match report:
            case Ticked():
                worker.tick(report, now)
            case Started(request_id=request_id):
                if (state := worker.held(request_id)) is not None:
                    worker.started(state, now)
            case Finished() | Failed() | Dropped() | Paused():
                return self._end_attempt(worker, report, now)
            case AdapterAdded() | AdapterRefused():
                return self._answer_offer(report, now)
            case AdapterLoaded(handle=handle):
                self._fleet.workers.adapter_loaded(worker, report, self._fleet.adapters.weights_bytes(handle))
            case AdapterEvicted(handle=handle):
                self._fleet.workers.adapter_evicted(worker, handle)
        return []

    def _answer_offer(self, report: AdapterAdded | AdapterRefused, now: float) -> list[Command]:
        if isinstance(report, AdapterAdded):
            self._fleet.plans.changed(now)
            offer = self._fleet.adapters.added(report)
            return [] if offer is None else [AnswerOffer(offer, report.spec)]
        refused = self._fleet.adapters.refused(report.handle)
        if refused is None:
            return []
        offer, command = refused
        return [*self._fleet.broadcast([command]), AnswerOffer(offer, AdapterFileError(report.message))]

    def _end_attempt(
        self, worker: WorkerState, report: Finished | Failed | Dropped | Paused, now: float
    ) -> list[Command]:
        state = worker.held(report.request_id)
        if state is None:
            return []
        self._fleet.release(state)
        return [*self._settle(state, report, now), *self._fleet.dispatch(now)]

    def _settle(self, state: RequestState, report: Finished | Failed | Dropped | Paused, now: float) -> list[Command]:
        """Decide about a request that its worker has released."""
        if state.has_ended:
            return self._fleet.forget(state)
        if state.is_withdrawn:
            compute_s = report.compute_s if isinstance(report, Finished) else state.compute_s
            return self._fleet.dismiss(state, now, compute_s=compute_s)
        match report:
            case Finished():
                return self._accept_or_escalate(state, report, now)
            case Failed(message=message):
                return self._fleet.give_up(state, "worker_failed", message, now)
            case Paused(row=row) if state.is_pausing:
                return self._fleet.paused(state, row, now)
            case Dropped() | Paused():
                return self._fleet.give_up(state, "worker_failed", "The worker let go of the picture unasked.", now)

    def _accept_or_escalate(self, state: RequestState, finished: Finished, now: float) -> list[Command]:
        ended = state.stage_outcome(
            now,
            compute_s=finished.compute_s,
            score=finished.score,
            steps_without_loras=finished.steps_without_loras,
            steps_reused=finished.steps_reused,
        )
        if state.route.ends_at(state.job.stage, finished.score) or self._ends_for_deadline(state, now):
            outcome = state.outcome("finished", now, ended)
            return [Deliver(state.request, finished, outcome), *self._fleet.forget(state)]
        state.begin_next_stage(ended, now)
        self._fleet.paused_rows.note(state)
        self._fleet.enqueue(state, now)
        return [Escalated(state.request, finished)] if state.request.previews else []

    def _ends_for_deadline(self, state: RequestState, now: float) -> bool:
        """Whether a picture that its gate does not accept is the answer, since the next stage would be late."""
        if not state.keeps_deadline or not state.is_punctual:
            return False
        following = state.following_stage(now)
        self._fleet.prediction.weigh(following, now)
        finish_s = self._fleet.prediction.promise_s(following, now)
        is_late = finish_s is None or finish_s > following.request.due_s
        return is_late or self._fleet.prediction.lacks_room(following)


def _no_worker(model: str) -> str:
    return f"No worker has served {model!r} for too long; look at the log for why workers do not start."
