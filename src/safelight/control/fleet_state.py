"""The controller's state: requests, workers, models and adapters."""

import math
from collections.abc import Iterable, Iterator
from functools import partial

from safelight.control.adapter_directory import AdapterDirectory
from safelight.control.commands import Command, Dismissed, GiveUp, Send
from safelight.control.config import ControlConfig
from safelight.control.dispatch import assign, dispatch
from safelight.control.levels.cascading import cascade_of
from safelight.control.levels.demand import DemandEstimate
from safelight.control.levels.load import FleetLoad
from safelight.control.levels.steadiness import SteadyShare
from safelight.control.liveness import Liveness
from safelight.control.moments import Moments
from safelight.control.order.late import late_place
from safelight.control.orphans import Orphans
from safelight.control.placement.demand import AdapterDemand
from safelight.control.placement.protocol import PlacementView
from safelight.control.placement.schedule import PlanSchedule
from safelight.control.prediction import Prediction
from safelight.control.preemption.budget import ForecastBudget
from safelight.control.preemption.never import Never
from safelight.control.preemption.paused_rows import PausedRows
from safelight.control.preemption.protocol import Preemption
from safelight.control.preemption.what_if import WhatIf
from safelight.control.request_state import RequestState
from safelight.control.routing.protocol import HomedRouting
from safelight.control.routing_view import routed
from safelight.control.waiting import WaitingQueue
from safelight.control.worker_state import WorkerPolicies, WorkerState
from safelight.control.workers import Workers
from safelight.core.errors import DeadlineExpired, WorkFailed
from safelight.core.job import PausedRow
from safelight.core.model import ModelSpec
from safelight.core.request import ImageRequest
from safelight.core.work import Cancel, Pause, Place, Prefetch, Ready, Run, WorkerCommand


class FleetState:
    """Owns the state; each method leaves it consistent.

    Attributes:
        requests: every accepted request that has not ended, by id.
        models: every model that some worker has served, by name.
        missing_parts: what other parts of the service lack, by part.
        expiries: when requests expire whose clients want no late picture.
        paused_rows: the latents that are held of paused requests.
        plans: when the placement policy is asked for a plan.
        last_chances: when waiting requests that would be late have to get the places of others.
        letting_go: how many requests have ended for their clients while their workers still hold them.
    """

    def __init__(self, config: ControlConfig) -> None:
        self.config = config
        self.policies = config.policies
        self.requests: dict[str, RequestState] = {}
        self.waiting = WaitingQueue()
        self.workers = Workers()
        self.prediction = Prediction(self.workers, self.waiting)
        self.liveness = Liveness(config.liveness)
        self.models: dict[str, ModelSpec] = {}
        self.adapters = AdapterDirectory()
        self.cascades = {cascade.name: cascade for cascade in config.cascades}
        self.demand = {name: DemandEstimate() for name in self.cascades}
        self.steady = {name: SteadyShare() for name in self.cascades}
        self.orphans = Orphans(wait_s=config.orphan_wait_s)
        self.expiries = Moments(self._may_expire)
        self.letting_go = 0
        self.paused_rows = PausedRows(config.max_paused_bytes)
        self.last_chances = Moments(self._may_become_late)
        self._forecast_budget = ForecastBudget()
        self._late_moments = Moments(self._may_become_late)
        self.missing_parts: dict[str, str] = {}
        self.is_draining = False
        self._sequence = 0
        self._prefetching: set[str] = set()
        self.plans = PlanSchedule(config.policies.placement.period_s)
        self._adapter_demand = AdapterDemand()
        self._homed = config.policies.routing if isinstance(config.policies.routing, HomedRouting) else None
        self._worker_policies = WorkerPolicies(
            order=config.policies.order,
            batching=config.policies.batching,
            make_adapter_mode=config.policies.adapter_mode.start,
        )

    def next_sequence(self) -> int:
        """Return a new sequence number."""
        self._sequence += 1
        return self._sequence

    def load(self, now: float) -> FleetLoad:
        """Return what level policies know."""
        return FleetLoad(
            now=now,
            workers=self.workers,
            waiting=self.waiting,
            cascades=self.cascades,
            demand=self.demand,
            steady=self.steady,
            adapters=self.adapters,
        )

    def note_demand(self, request: ImageRequest, now: float) -> None:
        """Count an arrival for the cascade that the request is for, if it is for one."""
        cascade = cascade_of(request, self.cascades)
        if cascade is not None:
            self.demand[cascade.name].arrived(now)

    def add_worker(self, name: str, ready: Ready, now: float) -> None:
        lookahead = self.config.lookahead_rows
        self.workers.add(WorkerState(name, ready, lookahead_rows=lookahead, policies=self._worker_policies))
        self.models |= {spec.name: spec for spec in ready.models}
        self.plans.changed(now)
        self.orphans.served([spec.name for spec in ready.models])
        self.prediction.workers_changed()

    def remove_worker(self, name: str, now: float) -> list[RequestState]:
        """Forget a worker; returns the requests that it had, in order."""
        worker = self.workers.remove(name)
        if worker is None:
            return []
        self._prefetching.discard(name)
        self.plans.changed(now)
        if not worker.is_suspected:
            self._lacks(worker, now)
        held = [*worker.requests.values(), *worker.leaving.values()]
        for state in worker.leaving.values():
            self.waiting.expect_no_more(state)
        for state in held:
            state.is_running = False
        return sorted(held, key=lambda state: state.place)

    def suspect_worker(self, worker: WorkerState, now: float) -> None:
        """Give a worker no new work, and count on it in no forecast."""
        self.workers.suspect(worker)
        self._lacks(worker, now)

    def trust_worker(self, worker: WorkerState) -> None:
        """Let a worker that was suspected work as before."""
        self.workers.trust(worker)
        self.orphans.served(list(worker.paces))
        self.prediction.workers_changed()

    def _lacks(self, worker: WorkerState, now: float) -> None:
        self.prediction.workers_changed()
        self.orphans.lost([model for model in worker.paces if not self.workers.serving(model)], self.waiting, now)

    def accept(self, state: RequestState, now: float) -> list[Command]:
        """Send an admitted request to a worker, or queue it."""
        may_join = partial(self._may_join, now=now)
        if not len(self.waiting) and assign(state, self.workers, self.policies.routing, now=now, may_join=may_join):
            return [_run(state)]
        self._enqueue_weighed(state)
        return self.dispatch(now)

    def enqueue(self, state: RequestState, now: float) -> None:
        """Queue a request for its present stage."""
        self.prediction.weigh(state, now)
        self._enqueue_weighed(state)

    def _enqueue_weighed(self, state: RequestState) -> None:
        self.waiting.add(state)
        if state.is_punctual:
            state.late_from_s = self.prediction.late_from_s(state)
            self._late_moments.add(state.late_from_s, state)
            if not isinstance(self.policies.preemption, Never):
                self.last_chances.add(self.prediction.last_chance_s(state), state)
        if not self.workers.serving(state.model):
            self.orphans.arrived(state)

    def put_late_ones_last(self, now: float) -> None:
        """Give waiting requests that can no longer meet their deadlines the places of late ones."""
        if not self._late_moments.has_passed(now):
            return
        for state in self._late_moments.take(now):
            if state.late_from_s >= now:
                continue
            state.is_late = True
            try:
                place = late_place(self.policies.order, state.request, state.sequence)
            except Exception:  # noqa: BLE001 - a policy of another package may fail; the request keeps its place
                place = state.place
            self.waiting.move(state, place, math.inf)

    def dispatch(self, now: float) -> list[Command]:
        """Send waiting requests to workers with room."""
        self.put_late_ones_last(now)
        commands: list[Command] = []
        may_join = partial(self._may_join, now=now)
        for state in dispatch(self.waiting, self.workers, self.policies.routing, now=now, may_join=may_join):
            self.waiting.remove(state)
            commands.append(_run(state))
        return commands

    def _may_join(self, state: RequestState, worker: WorkerState, *, now: float) -> bool:
        """Whether a worker may take a request, though others that it stops for a moment or has promised need it."""
        if any(leaving.is_punctual and leaving.place < state.place for leaving in worker.leaving.values()):
            return False
        if not worker.has_forecast:
            return True
        return WhatIf(state, self.workers, self.prediction, self.paused_rows, now=now).keeps_held(state, worker)

    def preemption_for(self, state: RequestState, now: float) -> Preemption | None:
        """Return who makes way for a weighed request that is not queued; raises what a policy raises."""
        is_possible = state.request.deadline_s is not None and not state.is_suspect
        if not is_possible or not self._forecast_budget.is_left(now):
            return None
        view = WhatIf(state, self.workers, self.prediction, self.paused_rows, now=now)
        chosen = self.policies.preemption.choose(state, view)
        if chosen is None and view.forecasts:
            self._forecast_budget.failed()
        return chosen

    def preempt(self, state: RequestState, preemption: Preemption) -> list[Command]:
        """Give a request that is not queued the places of others, from the next step boundary on."""
        commands = [command for held in preemption.paused for command in self.pause(held)]
        self.workers.take(preemption.worker, state)
        for held in (*preemption.worker.requests.values(), *preemption.paused):
            held.is_forecast = held.is_punctual
        return [*commands, Send(preemption.worker.name, Run(job=state.job))]

    def rescue(self, now: float) -> list[Command]:
        """Give the places of others to waiting requests that would be late otherwise, as far as a forecast gains."""
        commands: list[Command] = []
        for state in self.last_chances.take(now, with_now=True):
            if WhatIf(state, self.workers, self.prediction, self.paused_rows, now=now).waits_in_time(state):
                continue
            self.waiting.remove(state)
            preemption = self.preemption_for(state, now)
            if preemption is None:
                self.waiting.add(state)
            else:
                commands += self.preempt(state, preemption)
        return commands

    def pause(self, state: RequestState, *, next_worker: str | None = None) -> list[Command]:
        """Have the worker of a request stop it at the next step boundary; then it waits with the steps it has run.

        It takes no room in the worker from now on. When the worker's `Paused` comes, the request is queued at its old
        place. With `next_worker` that one gets it at once if it has room then: so a request moves.
        """
        worker = self.workers.get(state.worker) if state.is_running else None
        if worker is None or state.id not in worker.requests or state.is_withdrawn:
            return []
        self.workers.begin_pause(worker, state)
        self.prediction.limit(state)
        self.waiting.expect(state)
        self.paused_rows.expect(state)
        state.next_worker = next_worker
        return [Send(worker.name, Pause(request_id=state.id))]

    def paused(self, state: RequestState, row: PausedRow | None, now: float) -> list[Command]:
        """Queue a request again that its worker has stopped, or give it to the worker that it is to move to."""
        wanted = self.workers.get(state.next_worker)
        state.next_worker = None
        state.pause(row)
        self.paused_rows.note(state)
        if wanted is not None and wanted.serves(state.model) and wanted.has_room(state):
            self.prediction.weigh(state, now)
            self.workers.take(wanted, state)
            return [Send(wanted.name, Run(job=state.job))]
        self.enqueue(state, now)
        return []

    def release(self, state: RequestState) -> WorkerState | None:
        """Remove a request from the queue or from its worker; returns the worker."""
        worker = self.workers.get(state.worker) if state.is_running else None
        if worker is None:
            self.waiting.remove(state)
            return None
        if state.is_pausing:
            self.waiting.expect_no_more(state)
        self.workers.release(worker, state)
        return worker

    def forget(self, state: RequestState) -> list[Command]:
        """Forget a released request that has ended; returns the commands for its adapters."""
        del self.requests[state.id]
        self.paused_rows.forget(state)
        self.letting_go -= state.has_ended
        return list(self.broadcast(self.adapters.release(state.id)))

    def dismiss(self, state: RequestState, now: float, *, compute_s: float = 0.0) -> list[Command]:
        """End a released request that was withdrawn."""
        last = state.stage_outcome(now, compute_s=compute_s)
        return [
            Dismissed(state.request, state.outcome("cancelled", now, last, reason="withdrawn")),
            *self.forget(state),
        ]

    def give_up(self, state: RequestState, reason: str, message: str, now: float) -> list[Command]:
        """End a released request without a picture."""
        outcome = state.outcome("failed", now, state.stage_outcome(now), reason=reason)
        return [GiveUp(state.request, WorkFailed(message, reason=reason), outcome), *self.forget(state)]

    def expire(self, state: RequestState, now: float) -> list[Command]:
        """End a request whose deadline has passed; its worker lets go of it at the next step."""
        error = DeadlineExpired(deadline_s=state.request.deadline_s or 0.0)
        last = state.stage_outcome(now, compute_s=state.compute_s)
        end = GiveUp(state.request, error, state.outcome("expired", now, last, reason=error.reason))
        if state.is_running:
            assert state.worker is not None
            state.is_withdrawn = state.has_ended = True
            self.letting_go += 1
            return [end, Send(state.worker, Cancel(request_id=state.id))]
        self.release(state)
        return [end, *self.forget(state)]

    def _may_expire(self, state: RequestState) -> bool:
        return self.requests.get(state.id) is state and not state.is_withdrawn

    def _may_become_late(self, state: RequestState) -> bool:
        return self.requests.get(state.id) is state and not state.is_running and state.is_punctual

    def broadcast(self, commands: Iterable[WorkerCommand]) -> Iterator[Command]:
        """Yield each command for every worker."""
        return (Send(worker.name, command) for command in commands for worker in self.workers)

    def note_adapters(self, state: RequestState, now: float) -> None:
        """Count an accepted request by its adapters, for plans of where these are held."""
        if self.plans.is_on:
            self._adapter_demand.requested(state.job.handles, now)
            self.plans.requested(now)

    def place(self, now: float) -> list[Command]:
        """Have adapters held where the placement policy wants them, and requests moved, if a plan is due."""
        if not self.plans.take(now):
            return []
        plan = self.policies.placement.plan(self._placement_view(now))
        commands: list[Command] = []
        for name, handles in plan.holds.items():
            worker = self.workers.get(name)
            if worker is not None and worker.placed != handles:
                worker.placed = handles
                commands.append(Send(name, Place(handles=handles)))
        for move in plan.moves:
            commands += self.pause(move.request, next_worker=move.worker.name)
        return commands

    def _placement_view(self, now: float) -> PlacementView:
        return PlacementView(
            waiting=self.waiting,
            workers=self.workers,
            adapters=self.adapters,
            demand=self._adapter_demand,
            home_of=None if self._homed is None else self._home_of,
            now=now,
        )

    def _home_of(self, state: RequestState) -> WorkerState | None:
        workers = self.workers.serving(state.model)
        return self._homed.home(routed(state), workers) if workers and self._homed is not None else None

    def prefetch(self, now: float) -> list[Command]:
        """Send workers the adapters to read ahead, where these have changed."""
        if not self.waiting.with_adapters and not self._prefetching:
            return []
        wanted = dict(self.policies.placement.reads(self._placement_view(now)))
        if not self.waiting.with_adapters:
            wanted = {worker: () for worker in self.workers if worker.prefetched} | wanted
        commands: list[Command] = []
        for worker, handles in wanted.items():
            if handles != worker.prefetched:
                worker.prefetched = handles
                (self._prefetching.add if handles else self._prefetching.discard)(worker.name)
                commands.append(Send(worker.name, Prefetch(handles=handles)))
        return commands


def _run(state: RequestState) -> Send:
    """Return the command for the worker that has just taken a request."""
    assert state.worker is not None
    return Send(state.worker, Run(job=state.job))
