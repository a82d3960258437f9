"""Runs a simulation: virtual time passes from one event to the next."""

import math

from safelight.control.fleet import FleetController
from safelight.core.outcome import Outcome
from safelight.simulator.errors import SimulationStuck
from safelight.simulator.fleet.faults import FaultPlayer
from safelight.simulator.fleet.fleet import SimulatedFleet
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.simulation import (
    PROGRESS_EVENTS,
    OnOutcome,
    OnProgress,
    OnSpan,
    SimulatedRun,
    Simulation,
)


def simulate(
    simulation: Simulation,
    *,
    on_outcome: OnOutcome | None = None,
    on_span: OnSpan | None = None,
    on_progress: OnProgress | None = None,
) -> SimulatedRun:
    """Simulate until every request has ended, and return what was counted.

    Args:
        simulation: what is simulated.
        on_outcome: gets the record of each request that has ended.
        on_span: gets what each device did.
        on_progress: gets the counts now and then, and ends the run early by returning False.

    Raises:
        SimulationStuck: if requests never end.
        SafelightError: for a request that can never be served.
    """
    loop = EventLoop(simulation, on_outcome=on_outcome, on_span=on_span)
    turns = 0
    while loop.step():
        turns += 1
        if on_progress is not None and turns % PROGRESS_EVENTS == 0 and not on_progress(loop.counts):
            loop.counts.is_complete = False
            break
    loop.close()
    return loop.counts


class EventLoop:
    """Lets one event of a simulation happen after the other.

    Of the events of one time, those of workers and faults come first, in the order in which they were planned; then
    requests arrive, in their order; then the controller is woken up.

    Attributes:
        counts: so far.
    """

    def __init__(
        self, simulation: Simulation, *, on_outcome: OnOutcome | None = None, on_span: OnSpan | None = None
    ) -> None:
        self.counts = SimulatedRun()
        self._timeline = Timeline()
        self._fleet = SimulatedFleet(
            simulation, self._timeline, self.counts, on_outcome=on_outcome or _ignored, on_span=on_span
        )
        self._fleet.start()
        faults = FaultPlayer(self._fleet, self._timeline, simulation.control.liveness)
        for fault in simulation.faults:
            faults.plan(fault)
        if simulation.warmup_s > 0:
            self._timeline.at(simulation.warmup_s, self._end_warmup)
        self._arrivals = iter(simulation.requests)
        self._next = next(self._arrivals, None)

    @property
    def controller(self) -> FleetController:
        return self._fleet.controller

    def step(self) -> bool:
        """Let the next event happen; returns whether there was one, before every request has ended.

        Raises:
            SimulationStuck: if requests are left, and nothing will happen any more.
        """
        arriving, timeline = self._next, self._timeline
        if arriving is None and self.controller.is_idle:
            return False
        arrives_s = math.inf if arriving is None else arriving.arrived_s
        wakes_s = max(self._fleet.next_wakeup_s, timeline.now_s)
        if timeline.next_s <= arrives_s and timeline.next_s <= wakes_s:
            if timeline.next_s == math.inf:
                raise SimulationStuck(self.counts.arrived - self.counts.ended, timeline.now_s)
            timeline.pop()()
        elif arriving is not None and arrives_s <= wakes_s:
            timeline.now_s = max(arrives_s, timeline.now_s)
            self._fleet.arrive(arriving)
            self._next = next(self._arrivals, None)
        else:
            timeline.now_s = wakes_s
            self._fleet.wake_up()
        self.counts.end_s = timeline.now_s
        return True

    def _end_warmup(self) -> None:
        self.counts.warmup = self._fleet.counted()

    def close(self) -> None:
        """Count the time of the workers that are there at the end."""
        self._fleet.close()


def _ignored(outcome: Outcome) -> None:
    """Take no outcomes."""
