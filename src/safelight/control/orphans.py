"""Limits the wait of requests whose model no live worker serves."""

from collections.abc import Collection

from safelight.control.request_state import RequestState
from safelight.control.waiting import WaitingQueue


class Orphans:
    """Tracks since when models are not served, and when their waiting requests expire."""

    def __init__(self, *, wait_s: float) -> None:
        self._wait_s = wait_s
        self._since_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}

    @property
    def next_due_s(self) -> float | None:
        """When the next request expires; None if no request waits for an unserved model."""
        return min(self._due_s.values()) if self._due_s else None

    def arrived(self, request: RequestState) -> None:
        """Note that a request waits for a model that no live worker serves."""
        self._due_s.setdefault(request.model, self._end_s(request))

    def lost(self, models: Collection[str], waiting: WaitingQueue, now: float) -> None:
        """Note that no worker serves these models any more."""
        for model in models:
            self._since_s[model] = now
            if next(waiting.of(model), None) is not None:
                self._due_s[model] = now + self._wait_s

    def served(self, models: Collection[str]) -> None:
        """Note that a worker serves these models."""
        for model in models:
            self._since_s.pop(model, None)
            self._due_s.pop(model, None)

    def take_expired(self, waiting: WaitingQueue, now: float) -> list[RequestState]:
        """Remove the expired requests from the queue, and return them."""
        expired: list[RequestState] = []
        for model in [model for model, due_s in self._due_s.items() if due_s <= now]:
            ends_s = {request: self._end_s(request) for request in waiting.of(model)}
            expired += [request for request, end_s in ends_s.items() if end_s <= now]
            later_s = [end_s for end_s in ends_s.values() if end_s > now]
            del self._due_s[model]
            if later_s:
                self._due_s[model] = min(later_s)
        for request in expired:
            waiting.remove(request)
        return expired

    def _end_s(self, request: RequestState) -> float:
        return max(request.queued_s, self._since_s.get(request.model, request.queued_s)) + self._wait_s
