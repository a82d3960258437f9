"""Events of virtual time, in a total order: time, then the order in which they were planned."""

import heapq
import math
from collections.abc import Callable

Action = Callable[[], None]


class Timeline:
    """Planned actions; of those at one time, the one that was planned first comes first."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._planned: list[tuple[float, int, Action]] = []
        self._sequence = 0

    @property
    def next_s(self) -> float:
        """When the next action is due; inf if none is planned."""
        return self._planned[0][0] if self._planned else math.inf

    def at(self, moment_s: float, action: Action) -> None:
        """Plan `action` for a moment that has not passed."""
        assert moment_s >= self.now_s, "time does not go back"
        self._sequence += 1
        heapq.heappush(self._planned, (moment_s, self._sequence, action))

    def pop(self) -> Action:
        """Go on to the next action, and return it."""
        self.now_s, _, action = heapq.heappop(self._planned)
        return action
