"""When a placement policy is asked for a plan."""

import math
from typing import Final

SETTLE_S: Final = 1.0
"""From a change of workers or adapters to the plan that follows from it: others often follow at once."""


class PlanSchedule:
    """A plan is due one period after the last one if requests have come, and soon after workers or adapters change.

    A fleet without requests and changes makes no plans.

    Attributes:
        next_s: when the next plan is due; None if none is.
    """

    def __init__(self, period_s: float | None) -> None:
        self._period_s = period_s
        self._last_s = -math.inf
        self.next_s: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether any plan is ever made."""
        return self._period_s is not None

    def requested(self, now: float) -> None:
        """Note that a request was accepted."""
        if self._period_s is not None:
            self._plan_at(max(now, self._last_s + self._period_s))

    def changed(self, now: float) -> None:
        """Note that a worker has joined or left, or that an adapter was added or removed."""
        if self._period_s is not None:
            self._plan_at(now + SETTLE_S)

    def take(self, now: float) -> bool:
        """Return whether a plan is due at `now`, which is made then."""
        if self.next_s is None or now < self.next_s:
            return False
        self.next_s, self._last_s = None, now
        return True

    def _plan_at(self, moment_s: float) -> None:
        self.next_s = moment_s if self.next_s is None else min(self.next_s, moment_s)
