"""The service's state as the queue route shows it."""

from typing import Literal

from safelight.access.caller import Caller
from safelight.control.fleet_view import Accepted, WorkerLoad
from safelight.control.forecast import Expectation
from safelight.core.pool import PoolMember
from safelight.server.wire.queue import LevelsEntry, QueueEntry, QueueView, WorkerEntry
from safelight.service.service import Service


def view_queue(service: Service, caller: Caller) -> QueueView:
    """Return the present state as `caller` may see it, without previews: the pictures of others are only counted."""
    now_s = service.now_s
    controller = service.controller
    expected = controller.expected(now_s)
    shown = [accepted for accepted in (*controller.running, *controller.waiting) if not accepted.is_withdrawn]
    waiting = [accepted.request.id for accepted in shown if not accepted.has_started]
    positions = {request_id: position for position, request_id in enumerate(waiting, 1)}
    pace = service.recent.pace(now_s=now_s)
    return QueueView(
        requests=[
            _entry(accepted, now_s, expected.get(accepted.request.id), positions.get(accepted.request.id))
            for accepted in shown
            if caller.owns(accepted.request.tenant)
        ],
        workers=_workers(service),
        waiting=len(waiting),
        running=len(shown) - len(waiting),
        throughput_per_s=pace.throughput_per_s,
        latency_p50_s=pace.latency_p50_s,
        latency_p95_s=pace.latency_p95_s,
        levels=[
            LevelsEntry(levels=list(levels), pictures=pictures)
            for levels, pictures in sorted(service.recent.levels().items())
        ],
    )


def _entry(accepted: Accepted, now_s: float, expectation: Expectation | None, position: int | None) -> QueueEntry:
    return QueueEntry(
        id=accepted.request.id,
        tenant=accepted.request.tenant or None,
        prompt=accepted.request.prompt,
        model=accepted.level.model,
        state="running" if accepted.has_started else "waiting",
        position=position,
        step=accepted.step,
        steps=accepted.level.steps_to_run,
        age_s=now_s - accepted.request.arrived_s,
        expected_s=None if expectation is None else max(0.0, expectation.finish_s - now_s),
        worker=accepted.worker,
        preview=None,
    )


def _workers(service: Service) -> list[WorkerEntry]:
    loads = {load.worker: load for load in service.controller.workers}
    return [
        WorkerEntry(
            name=member.name,
            models=[model.name for model in member.ready.models] if member.ready else [],
            rows=loads[member.name].pictures if member.name in loads else 0,
            state=_state(member, loads.get(member.name)),
        )
        for member in service.pool.members
    ]


def _state(member: PoolMember, load: WorkerLoad | None) -> Literal["starting", "ready", "suspected"]:
    if load is not None and load.is_suspected:
        return "suspected"
    return "ready" if member.ready else "starting"
