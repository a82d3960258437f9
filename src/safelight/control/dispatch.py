"""Assigns waiting requests to workers."""

import heapq
from collections.abc import Callable, Iterator
from typing import Final

from safelight.control.order.protocol import Place
from safelight.control.request_state import RequestState
from safelight.control.routing.protocol import RoutingPolicy
from safelight.control.routing_view import Candidate, RoutingView
from safelight.control.waiting import WaitingQueue
from safelight.control.worker_state import WorkerState
from safelight.control.workers import Workers
from safelight.core.errors import CannotServe

MOST_PASSED_OVER: Final = 256
"""At most this many requests that wait for one certain worker are passed over in one dispatch."""


def dispatch(
    waiting: WaitingQueue,
    workers: Workers,
    routing: RoutingPolicy,
    *,
    now: float,
    may_join: Callable[[RequestState, WorkerState], bool] = lambda request, worker: True,
) -> list[RequestState]:
    """Assign waiting requests, in order, to workers with room; returns the assigned ones.

    A request that finds no room claims the workers that serve it, so that smaller requests behind it do not take every
    freed row. A suspect claims one worker, the first that will be empty. Models whose workers are all full cost
    nothing, however many requests wait for them.

    A chosen worker gets nothing now if `may_join` says that its other requests do not allow it.

    Raises:
        CannotServe: if `routing` fails; then the indexes are not to be used any more.
    """
    heads = [_Head(model, waiting.of(model)) for model in waiting.models if workers.with_space(model)]
    heapq.heapify(heads)
    claimed: set[WorkerState] = set()
    placed: list[RequestState] = []
    passed_over = 0
    while heads and passed_over < MOST_PASSED_OVER:
        head = heads[0]
        request = head.request
        view = RoutingView(request, workers, claimed=claimed, now=now)
        if not view.is_open:
            heapq.heappop(heads)
            continue
        chosen = _choose(routing, view, now)
        if chosen is not None and not may_join(request, chosen.worker):
            claimed.add(chosen.worker)
            continue
        if chosen is not None:
            workers.take(chosen.worker, request)
            placed.append(request)
        elif view.has_room:
            passed_over += 1
        elif request.is_suspect:
            claimed.add(min(view.open, key=lambda worker: worker.idle_at_s(now)))
        else:
            claimed.update(view.open)
        if head.advance():
            heapq.heapreplace(heads, head)
        else:
            heapq.heappop(heads)
    return placed


def assign(
    request: RequestState,
    workers: Workers,
    routing: RoutingPolicy,
    *,
    now: float,
    may_join: Callable[[RequestState, WorkerState], bool],
) -> bool:
    """Assign a request while nothing waits, as `dispatch` would; returns whether a worker has it now.

    Raises:
        CannotServe: as `dispatch`.
    """
    view = RoutingView(request, workers, claimed=(), now=now)
    chosen = _choose(routing, view, now) if view.is_open else None
    if chosen is None or not may_join(request, chosen.worker):
        return False
    workers.take(chosen.worker, request)
    return True


def _choose(routing: RoutingPolicy, view: RoutingView, now: float) -> Candidate | None:
    try:
        chosen = routing.choose(view.routed, view, now)
        if chosen is None or view.can_have(chosen):
            return chosen
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise CannotServe(f"The routing policy {routing.name!r} failed ({reason}); choose another one.") from error
    raise CannotServe(f"The routing policy {routing.name!r} chose a worker that has no room; choose another policy.")


class _Head:
    """The next request that waits for one model."""

    def __init__(self, model: str, requests: Iterator[RequestState]) -> None:
        self.model = model
        self._requests = requests
        self.request = next(requests)

    def advance(self) -> bool:
        """Move to the next request; returns whether there is one."""
        following = next(self._requests, None)
        if following is None:
            return False
        self.request = following
        return True

    @property
    def place(self) -> Place:
        return self.request.place

    def __lt__(self, other: "_Head") -> bool:
        return self.place < other.place
