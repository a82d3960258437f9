"""Taking requests: all of a group or none."""

from collections.abc import Sequence
from typing import Final

from safelight.control.admission_policies import retry_in
from safelight.control.commands import Command, Reject, Send
from safelight.control.fleet_state import FleetState
from safelight.control.request_state import RequestState
from safelight.core.errors import Draining, NotReady, QueueFull, Rejected, RequestError
from safelight.core.outcome import Outcome
from safelight.core.request import ImageRequest
from safelight.core.work import Run

DRAIN_RETRY_S: Final = 10.0

NOT_READY_RETRY_S: Final = 5.0
"""About how long a worker takes to load its models."""

UNSERVED_RETRY_S: Final = 10.0
"""Retry-After while no live worker serves the model; about the time that a worker takes to start."""


def refusal(fleet: FleetState) -> Rejected | None:
    """Return why no request at all is taken now, or None."""
    if fleet.is_draining:
        return Draining(retry_after_s=DRAIN_RETRY_S)
    if not len(fleet.workers) or fleet.adapters.are_awaited:
        return _no_worker_yet()
    return None


def _no_worker_yet() -> NotReady:
    return NotReady("No worker is ready; models are being loaded.", retry_after_s=NOT_READY_RETRY_S)


def arrive(fleet: FleetState, requests: Sequence[ImageRequest], now: float) -> list[Command]:
    """Take all requests or none."""
    if fleet.is_draining:
        return _reject(fleet, requests, Draining(retry_after_s=DRAIN_RETRY_S), now)
    if not fleet.models:
        return _reject(fleet, requests, _no_worker_yet(), now)
    admitted: list[RequestState] = []
    commands: list[Command] = []
    try:
        for request in requests:
            admitted.append(_admit(fleet, request, now))  # noqa: PERF401 - those before a refusal are undone
        commands = fleet.dispatch(now)
        _check_overfull(fleet, admitted)
    except (Rejected, RequestError) as error:
        ids = {state.id for state in admitted}
        kept = [command for command in commands if not _runs_one_of(command, ids)]
        return [*kept, *_untake(fleet, admitted), *_reject(fleet, requests, error, now)]
    return commands


def _admit(fleet: FleetState, request: ImageRequest, now: float) -> RequestState:
    """Put a request into the queue; raises Rejected or RequestError."""
    assert request.id not in fleet.requests, f"{request.id} has arrived before"
    route = fleet.policies.level.route(request, fleet.models)
    if _is_full_for(fleet, request) and not fleet.workers.open(route.levels[0].model):
        raise _queue_full(fleet, route.levels[0].model)
    sequence = fleet.next_sequence()
    state = RequestState.admitted(
        request,
        route,
        fleet.adapters.bind(request, route),
        sequence=sequence,
        place=fleet.policies.order.place(request, sequence),
    )
    fleet.requests[state.id] = state
    fleet.prediction.weigh(state, now)
    refused = fleet.policies.admission.refusal(state, fleet.prediction, now)
    if refused is not None:
        fleet.forget(state)
        raise refused
    fleet.enqueue(state, now)
    return state


def _check_overfull(fleet: FleetState, admitted: Sequence[RequestState]) -> None:
    """Raise QueueFull if one of these waits and the queue holds more than it may."""
    waiting = [state for state in admitted if not state.is_running]
    if waiting and _is_overfull(fleet, waiting):
        raise _queue_full(fleet, waiting[0].model)


def _is_full_for(fleet: FleetState, request: ImageRequest) -> bool:
    if len(fleet.waiting) >= fleet.config.max_waiting:
        return True
    held_bytes = fleet.waiting.held_bytes
    return (
        held_bytes > 0 and request.held_bytes > 0 and held_bytes + request.held_bytes > fleet.config.max_waiting_bytes
    )


def _is_overfull(fleet: FleetState, newest: Sequence[RequestState]) -> bool:
    if len(fleet.waiting) > fleet.config.max_waiting:
        return True
    own_bytes = sum(state.request.held_bytes for state in newest)
    is_alone = own_bytes == fleet.waiting.held_bytes and len(newest) == 1
    return own_bytes > 0 and not is_alone and fleet.waiting.held_bytes > fleet.config.max_waiting_bytes


def _queue_full(fleet: FleetState, model: str) -> QueueFull:
    """Return the refusal for a full queue: try again when half of it is expected to be gone."""
    half_s = fleet.prediction.backlog_s(model) / 2 if fleet.workers.serving(model) else UNSERVED_RETRY_S
    return QueueFull(waiting=len(fleet.waiting), retry_after_s=retry_in(half_s))


def _untake(fleet: FleetState, admitted: Sequence[RequestState]) -> list[Command]:
    """Forget requests of which no worker has been told yet."""
    commands: list[Command] = []
    for state in admitted:
        fleet.release(state)
        commands += fleet.forget(state)
    return commands


def _runs_one_of(command: Command, ids: set[str]) -> bool:
    return isinstance(command, Send) and isinstance(command.command, Run) and command.command.job.id in ids


def _reject(
    fleet: FleetState, requests: Sequence[ImageRequest], error: Rejected | RequestError, now: float
) -> list[Command]:
    return [Reject(request, error, _rejected(fleet, request, error, now)) for request in requests]


def _rejected(fleet: FleetState, request: ImageRequest, error: Rejected | RequestError, now: float) -> Outcome | None:
    """Return the record of a refusal; there is none of a request that can never be served."""
    if isinstance(error, RequestError) or not fleet.models:
        return None
    try:
        route = fleet.policies.level.route(request, fleet.models)
    except RequestError:
        return None
    total_s = now - request.arrived_s
    return Outcome(request=request, route=route, status="rejected", reason=error.reason, total_s=total_s)
