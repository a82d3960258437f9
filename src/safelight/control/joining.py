"""When a request would be ready that joins the calls of a worker at once, because these are not full."""

import math

from safelight.control.request_state import RequestState
from safelight.control.worker_state import WorkerState


def joined_finish_s(worker: WorkerState, request: RequestState, now: float, *, caution: float = 1.0) -> float:
    """Return by when `request` is ready on a worker with room; inf if calls are full, or a held one would be late.

    Rows of other models and sizes run before it; those of its own share its ticks.
    """
    own_rows = request.denoiser_rows
    model, width, height = kind = request.job.kind
    if worker.used_rows + own_rows > worker.max_denoiser_rows:
        return math.inf
    pace = worker.paces[model]
    held = [each for each in worker.requests.values() if not each.is_withdrawn]
    mates = [each for each in held if each.job.kind == kind]
    rows = sum(each.denoiser_rows for each in mates)
    slowdown = worker.slowdown(request, mates)
    alone_tick_s = pace.tick_s(max(1, rows), width=width, height=height)
    tick_s = caution * slowdown * pace.tick_s(rows + own_rows, width=width, height=height)
    decode_s = pace.profile.decoding_s(width=width, height=height)
    own_outside_s = pace.outside_steps_s(request.job)
    others_s = sum(_rest_s(worker, each) for each in held if each.job.kind != kind)
    outside_s = sum(decode_s if each.has_row else pace.outside_steps_s(each.job) for each in mates)
    shared_s = now + alone_tick_s + caution * others_s + outside_s + own_outside_s + worker.loading_s(request)
    for each in mates:
        if each.is_punctual:
            due_s, steps = each.request.due_s, max(1, each.job.level.steps_to_run - each.step)
            was_late = now + steps * alone_tick_s * slowdown + decode_s > due_s
            if not was_late and shared_s + steps * tick_s > due_s:
                return math.inf
    for each in held:
        if each.job.kind != kind and each.is_punctual and each.request.due_s < math.inf:
            others_slack_s = each.request.due_s - now - _rest_s(worker, each) - others_s
            if others_slack_s < own_outside_s + request.job.level.steps_to_run * tick_s:
                return math.inf
    return shared_s + request.job.level.steps_to_run * tick_s


def _rest_s(worker: WorkerState, held: RequestState) -> float:
    """Return the seconds of a held request alone."""
    model, width, height = held.job.kind
    pace = worker.paces[model]
    steps = max(1, held.job.level.steps_to_run - held.step)
    outside_s = pace.outside_steps_s(held.job)
    return outside_s + steps * pace.tick_s(held.denoiser_rows, width=width, height=height)
