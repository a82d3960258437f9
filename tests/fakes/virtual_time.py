"""A clock that shows what the test wants, and whatever is to be done at some moment of it."""

import heapq
from itertools import count


class VirtualTime:
    """Moments pass only in `run`; actions of one moment are done in the order in which they were asked for."""

    def __init__(self):
        self._now = 0.0
        self._order = count()
        self._actions = []
        self._cancelled = set()

    def now_s(self):
        return self._now

    def call_later(self, seconds, action):
        """Have `action` called so much later; returns what cancels that."""
        number = next(self._order)
        heapq.heappush(self._actions, (self._now + max(0.0, seconds), number, action))
        return lambda: self._cancelled.add(number)

    @property
    def next_s(self):
        """When there is something to do; None if nothing is planned."""
        while self._actions and self._actions[0][1] in self._cancelled:
            heapq.heappop(self._actions)
        return self._actions[0][0] if self._actions else None

    def step(self):
        """Do the next thing."""
        assert self.next_s is not None
        self._now, _, action = heapq.heappop(self._actions)
        action()

    def run(self, *, until=float("inf")):
        """Do everything up to a moment."""
        while (moment := self.next_s) is not None and moment <= until:
            self.step()
        if until < float("inf"):
            self._now = max(self._now, until)
