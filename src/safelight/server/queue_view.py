"""The controller's state as the queue route shows it."""

from collections.abc import Iterator

from safelight.control.fleet import Running
from safelight.core.request import ImageRequest
from safelight.server.hub import Hub
from safelight.server.wire.queue import QueueEntry, QueueView, WorkerEntry
from safelight.server.workers import Crew


def view_queue(hub: Hub, crew: Crew) -> QueueView:
    """Return the present state, without previews."""
    now_s = hub.now_s
    entries = [*_running(hub, now_s), *_waiting(hub, now_s)]
    pace = hub.recent.pace(now_s=now_s)
    running = sum(entry.state == "running" for entry in entries)
    return QueueView(
        requests=entries,
        workers=list(_workers(hub, crew)),
        waiting=len(entries) - running,
        running=running,
        throughput_per_s=pace.throughput_per_s,
        latency_p50_s=pace.latency_p50_s,
        latency_p95_s=pace.latency_p95_s,
    )


def _running(hub: Hub, now_s: float) -> Iterator[QueueEntry]:
    for row in hub.controller.running:
        if not row.is_withdrawn:
            yield _entry(hub, row.request, now_s, row=row)


def _waiting(hub: Hub, now_s: float) -> Iterator[QueueEntry]:
    for request in hub.controller.waiting:
        yield _entry(hub, request, now_s)


def _entry(hub: Hub, request: ImageRequest, now_s: float, row: Running | None = None) -> QueueEntry:
    finish_s = hub.controller.expected_finish_s(request.id, now_s)
    return QueueEntry(
        id=request.id,
        prompt=request.prompt,
        model=request.model,
        state="running" if row is not None and row.has_started else "waiting",
        step=0 if row is None else row.step,
        steps=request.steps_to_run,
        age_s=now_s - request.arrived_s,
        expected_s=None if finish_s is None else max(0.0, finish_s - now_s),
        worker=None if row is None else row.worker,
        preview=None,
    )


def _workers(hub: Hub, crew: Crew) -> Iterator[WorkerEntry]:
    rows = {load.worker: load.pictures for load in hub.controller.workers}
    for member in crew.members:
        yield WorkerEntry(
            name=member.name,
            models=[model.name for model in member.ready.models] if member.ready else [],
            rows=rows.get(member.name, 0),
            state="ready" if member.ready else "starting",
        )
