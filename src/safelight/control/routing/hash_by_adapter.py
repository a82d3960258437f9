"""Requests of one adapter go to one worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from safelight.control.routing.protocol import AnyMember, RoutableFleet, RoutedRequest, Worker


@dataclass(frozen=True, kw_only=True)
class HashByAdapter:
    """A request goes to the worker that its adapter hashes to, and waits for it if it has no room."""

    name: ClassVar[str] = "hash-by-adapter"

    def choose(self, request: RoutedRequest, fleet: RoutableFleet[Worker], now: float) -> Worker | None:
        """Return the adapter's worker, or None while it has no room."""
        home = self.home(request, fleet.workers)
        return home if home.has_room else None

    def home(self, request: RoutedRequest, workers: Sequence[AnyMember]) -> AnyMember:
        """Return the adapter's worker."""
        return workers[request.key % len(workers)]
