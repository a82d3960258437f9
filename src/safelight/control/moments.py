"""When something is due for requests, unless they have changed before."""

import heapq
from collections.abc import Callable
from typing import Final

from safelight.control.request_state import RequestState

SPARE_ENTRIES: Final = 64


class Moments:
    """Moments of requests, in order; those of requests that `is_current` denies are dropped."""

    def __init__(self, is_current: Callable[[RequestState], bool]) -> None:
        self._is_current = is_current
        self._heap: list[tuple[float, int, RequestState]] = []
        self._most = SPARE_ENTRIES

    @property
    def next_s(self) -> float | None:
        """The first moment; None if there is none."""
        while self._heap:
            moment, _, state = self._heap[0]
            if self._is_current(state):
                return moment
            heapq.heappop(self._heap)
        return None

    def add(self, moment: float, state: RequestState) -> None:
        """Add a moment of a request."""
        heapq.heappush(self._heap, (moment, state.sequence, state))
        if len(self._heap) > self._most:
            self._heap = [entry for entry in self._heap if self._is_current(entry[2])]
            heapq.heapify(self._heap)
            self._most = 2 * len(self._heap) + SPARE_ENTRIES

    def has_passed(self, now: float) -> bool:
        """Return whether some entry, perhaps an outdated one, is from before `now`."""
        return bool(self._heap) and self._heap[0][0] < now

    def take(self, now: float, *, with_now: bool = False) -> list[RequestState]:
        """Remove and return the requests whose moments are before `now`, or also those that are `now`."""
        taken = []
        while (moment := self.next_s) is not None and (moment < now or (with_now and moment == now)):
            taken.append(heapq.heappop(self._heap)[2])
        return taken
