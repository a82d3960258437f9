"""Arrivals: a group of requests is accepted as a whole or not at all."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from safelight.control.admission_policies import retry_in
from safelight.control.commands import Command, Reject, Send
from safelight.control.fleet_state import FleetState
from safelight.control.levels.constraints import misfit
from safelight.control.order.protocol import Place, weighs
from safelight.control.policies import ENTRY_POINTS
from safelight.control.preemption.protocol import Preemption
from safelight.control.request_state import RequestState
from safelight.control.tenant_share import exceeds_share
from safelight.core.errors import (
    DeadlineUnmeetable,
    Draining,
    ExtensionError,
    NotReady,
    QueueFull,
    Rejected,
    RequestError,
    TenantQueueFull,
)
from safelight.core.level import Route
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Run
from safelight.latents.plan import ReusePlan

NO_REUSE: Final[Mapping[str, ReusePlan]] = MappingProxyType({})

DRAIN_RETRY_S: Final = 10.0

NOT_READY_RETRY_S: Final = 5.0
"""Typical time in which a worker loads its models."""

UNSERVED_RETRY_S: Final = 10.0
"""Retry-After while no live worker serves the model: the typical time in which a worker starts."""


def refusal(fleet: FleetState) -> Rejected | None:
    """Return why no request is accepted now, or None."""
    if fleet.is_draining:
        return Draining(retry_after_s=DRAIN_RETRY_S)
    if fleet.adapters.are_awaited or not len(fleet.workers):
        return _no_worker_yet()
    if fleet.workers.suspected_count == len(fleet.workers):
        return NotReady(
            "No worker responds at present; one that stays silent is replaced.", retry_after_s=NOT_READY_RETRY_S
        )
    return None


def _no_worker_yet() -> NotReady:
    return NotReady("No worker is ready; models are being loaded.", retry_after_s=NOT_READY_RETRY_S)


def arrive(
    fleet: FleetState, requests: Sequence[ImageRequest], now: float, *, reuse: Mapping[str, ReusePlan] = NO_REUSE
) -> list[Command]:
    """Accept all requests or none; errors that a retry cannot fix come before those that it can."""
    if fleet.is_draining:
        return _reject(fleet, requests, Draining(retry_after_s=DRAIN_RETRY_S), now)
    if not fleet.models:
        return _reject(fleet, requests, _no_worker_yet(), now)
    bound: list[RequestState] = []
    queued: list[RequestState] = []
    commands: list[Command] = []
    try:
        for request in requests:
            fleet.note_demand(request, now)
            bound.append(_bind(fleet, request, now, reuse.get(request.id)))
        _check_group(fleet, bound, now)
        for state in bound:
            preemption = _check_admission(fleet, state, now, may_preempt=len(bound) == 1)
            if preemption is not None:
                commands += fleet.preempt(state, preemption)
                continue
            queued.append(state)
            commands += fleet.accept(state, now)
            _check_overfull(fleet, state)
    except (Rejected, RequestError, ExtensionError) as error:
        ids = {state.id for state in bound}
        for state in queued:
            fleet.release(state)
        ended = [command for state in bound for command in fleet.forget(state)]
        kept = [command for command in commands if not _runs_one_of(command, ids)]
        return [*kept, *ended, *_reject(fleet, requests, error, now)]
    for state in bound:
        fleet.note_adapters(state, now)
        if state.request.on_deadline == "expire" and state.request.deadline_s is not None:
            fleet.expiries.add(state.request.due_s, state)
    return commands


def _check_group(fleet: FleetState, bound: Sequence[RequestState], now: float) -> None:
    """Raise Rejected if all workers are full, and the queue has no room for all of a group: before any is queued."""
    fleet.put_late_ones_last(now)
    if len(bound) == 1 or any(fleet.workers.with_space(state.model) for state in bound):
        return
    try:
        for state in bound:
            _check_admission(fleet, state, now)
            fleet.prediction.reserved_s += state.work_s
    finally:
        fleet.prediction.reserved_s = 0.0


def _bind(fleet: FleetState, request: ImageRequest, now: float, reuse: ReusePlan | None) -> RequestState:
    """Choose a request's route and bind its adapters; raises RequestError, ExtensionError."""
    assert request.id not in fleet.requests, f"{request.id} has arrived before"
    route = route_of(fleet, request, now)
    if reuse is not None:
        route = reuse.applied(route)
    sequence = fleet.next_sequence()
    try:
        place = _place(fleet, request, route, sequence, now)
    except Exception as error:
        raise _mistake(fleet, "order", error) from error
    adapters = fleet.adapters.bind(request, route)
    state = RequestState.admitted(request, route, adapters, sequence=sequence, place=place)
    fleet.requests[state.id] = state
    return state


def _place(fleet: FleetState, request: ImageRequest, route: Route, sequence: int, now: float) -> Place:
    order = fleet.policies.order
    if not weighs(order):
        return order.place(request, sequence)
    return order.place(request, sequence, service_s=fleet.prediction.alone_s(request, route, now))


def route_of(fleet: FleetState, request: ImageRequest, now: float) -> Route:
    """Return the levels of a request; raises RequestError, or ExtensionError for levels that no worker can serve."""
    try:
        route = fleet.policies.level.route(request, fleet.models, fleet.load(now))
    except RequestError:
        raise
    except Exception as error:
        raise _mistake(fleet, "level", error) from error
    if (reason := misfit(route, request, fleet.models)) is not None:
        raise ExtensionError(ENTRY_POINTS, fleet.policies.level.name, reason)
    return route


def _mistake(fleet: FleetState, family: str, error: Exception) -> ExtensionError:
    """Return the error for what a policy of `family` has raised by mistake."""
    return ExtensionError(
        ENTRY_POINTS, fleet.policies.names[family], f"it failed as {family} policy ({type(error).__name__}: {error})"
    )


def _check_admission(
    fleet: FleetState, state: RequestState, now: float, *, may_preempt: bool = False
) -> Preemption | None:
    """Raise Rejected if the request, which is not queued yet, is refused; or ExtensionError.

    Returns who makes way for it if it is accepted only because of that.
    """
    if _is_full_for(fleet, state.request) and not fleet.workers.with_space(state.model):
        raise _queue_full(fleet, state.model)
    if exceeds_share(state.request, fleet.waiting, fleet.config) and not fleet.workers.with_space(state.model):
        raise _tenant_queue_full(fleet, state)
    fleet.prediction.weigh(state, now)
    try:
        refused = fleet.policies.admission.refusal(state, fleet.prediction, now)
    except Exception as error:
        raise _mistake(fleet, "admission", error) from error
    if refused is None:
        finish_s = fleet.prediction.judged_s(state, now)
        state.predicted_s = None if finish_s is None else finish_s - state.request.arrived_s
        return None
    preemption = _preemption(fleet, state, now) if may_preempt and isinstance(refused, DeadlineUnmeetable) else None
    if preemption is None:
        raise refused
    return preemption


def _preemption(fleet: FleetState, state: RequestState, now: float) -> Preemption | None:
    try:
        return fleet.preemption_for(state, now)
    except Exception as error:
        raise _mistake(fleet, "preemption", error) from error


def _check_overfull(fleet: FleetState, state: RequestState) -> None:
    """Raise QueueFull if the request, which came last, waits and the queue exceeds its limits."""
    if not state.is_running and _is_overfull(fleet, state.request.held_bytes):
        raise _queue_full(fleet, state.model)
    if not state.is_running and exceeds_share(state.request, fleet.waiting, fleet.config, is_queued=True):
        raise _tenant_queue_full(fleet, state, is_queued=True)


def _is_full_for(fleet: FleetState, request: ImageRequest) -> bool:
    if len(fleet.waiting) >= fleet.config.max_waiting:
        return True
    held_bytes = fleet.waiting.held_bytes
    return (
        held_bytes > 0 and request.held_bytes > 0 and held_bytes + request.held_bytes > fleet.config.max_waiting_bytes
    )


def _is_overfull(fleet: FleetState, newest_bytes: int) -> bool:
    if len(fleet.waiting) > fleet.config.max_waiting:
        return True
    held_bytes = fleet.waiting.held_bytes
    return newest_bytes > 0 and held_bytes > newest_bytes and held_bytes > fleet.config.max_waiting_bytes


def _queue_full(fleet: FleetState, model: str) -> QueueFull:
    """Return the refusal for a full queue: try again when half of it is expected to be gone."""
    half_s = fleet.prediction.backlog_s(model) / 2 if fleet.workers.serving(model) else UNSERVED_RETRY_S
    return QueueFull(waiting=len(fleet.waiting), retry_after_s=retry_in(half_s))


def _tenant_queue_full(fleet: FleetState, state: RequestState, *, is_queued: bool = False) -> TenantQueueFull:
    half_s = fleet.prediction.backlog_s(state.model) / 2 if fleet.workers.serving(state.model) else UNSERVED_RETRY_S
    waiting = fleet.waiting.of_tenant[state.request.tenant] - is_queued
    return TenantQueueFull(waiting=waiting, retry_after_s=retry_in(half_s))


def _runs_one_of(command: Command, ids: set[str]) -> bool:
    return isinstance(command, Send) and isinstance(command.command, Run) and command.command.job.id in ids


def _reject(
    fleet: FleetState,
    requests: Sequence[ImageRequest],
    error: Rejected | RequestError | ExtensionError,
    now: float,
) -> list[Command]:
    return [Reject(request, error, _rejected(fleet, request, error, now)) for request in requests]


def _rejected(
    fleet: FleetState, request: ImageRequest, error: Rejected | RequestError | ExtensionError, now: float
) -> Outcome | None:
    """Return the record of a refusal, or None for a request that can never be served."""
    if not isinstance(error, Rejected) or not fleet.models:
        return None
    try:
        route = route_of(fleet, request, now)
    except (RequestError, ExtensionError):
        return None
    total_s = now - request.arrived_s
    return Outcome(
        request=request,
        route=route,
        status="rejected",
        reason=error.reason,
        total_s=total_s,
        predicted_s=total_s + error.expected_s if isinstance(error, DeadlineUnmeetable) else None,
    )
