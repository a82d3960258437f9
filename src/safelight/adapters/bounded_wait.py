"""A bound on how long a row waits because of a mode."""

from typing import Final

from safelight.adapters.mode import UNMERGED, Choice, ModeCosts, ModePolicy, Queue, corrected, first_that_fit

MAX_WAIT_S: Final = 2.0


class BoundedWait:
    """Follows a policy as long as it leaves no row unserved for longer than `max_wait_s`.

    The bound applies to the rows that would run if there were no modes, from the first tick that could have taken them.
    If the policy's choice would exceed it, or miss a deadline that can be met, the tick takes all of those rows and
    does not change the weights, so that none waits for a switch. The bound is as exact as `costs`.
    """

    def __init__(self, policy: ModePolicy, *, max_wait_s: float = MAX_WAIT_S) -> None:
        self.name = policy.name
        self._policy = policy
        self._max_wait_s = max_wait_s
        self._since: dict[str, float] = {}

    @property
    def is_steady(self) -> bool:
        """Whether the choice for rows of one composition stays while only their steps pass."""
        return getattr(self._policy, "is_steady", False)

    def stays(self, queue: Queue, costs: ModeCosts, ticks: int) -> bool:
        """Return whether all rows run, over the present weights, in each of the next `ticks` ticks that they share.

        Then no row waits, so that the bound changes nothing.
        """
        stays = getattr(self._policy, "stays", None)
        return stays is not None and bool(stays(queue, costs, ticks))

    def choose(self, queue: Queue, costs: ModeCosts, now: float) -> Choice:
        front = queue.front
        self._since = {row.id: self._since.get(row.id, now) for row in front}
        choice = self._policy.choose(queue, costs, now)
        riding = first_that_fit(choice.rows, queue.max_denoiser_rows)
        switch_s = costs.switching_s(queue.folded, choice.mode.folded)
        tick_s = switch_s + costs.ticking_s(choice.mode.folded, riding)
        served = {row.id for row in riding}
        for row in front:
            delay_s = switch_s if row.id in served else tick_s
            waited_s = now - self._since[row.id]
            if waited_s + delay_s > self._max_wait_s or delay_s > row.slack_s >= 0:
                choice = Choice(mode=UNMERGED if queue.folded.is_empty else corrected(queue.folded), rows=queue.rows)
                served = set(self._since)
                break
        self._since = {name: since for name, since in self._since.items() if name not in served}
        return choice
