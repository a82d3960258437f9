"""Runs a simulation: virtual time passes from one event to the next."""

import math

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

    Of the events of one time, those of workers and faults come first, in the order in which they were planned; then
    requests arrive, in their order; then the controller is woken up.

    Args:
        simulation: what is simulated.
        on_outcome: gets the record of each request that has ended.
        on_span: gets what each device did.
        on_progress: gets the counts now and then, and ends the run early by returning False.

    Raises:
        SimulationStuck: if requests never end.
        SafelightError: for a request that can never be served.
    """
    timeline, counts = Timeline(), SimulatedRun()
    fleet = SimulatedFleet(simulation, timeline, counts, on_outcome=on_outcome or _ignored, on_span=on_span)
    fleet.start()
    faults = FaultPlayer(fleet, timeline, beat_s=simulation.control.liveness.beat_s)
    for fault in simulation.faults:
        faults.plan(fault)
    arrivals = iter(simulation.requests)
    following = next(arrivals, None)
    controller, turns = fleet.controller, 0
    while following is not None or not controller.is_idle:
        arrives_s = math.inf if following is None else following.arrived_s
        wakeup_s = controller.next_wakeup_s
        wakes_s = math.inf if wakeup_s is None else max(wakeup_s, timeline.now_s)
        if timeline.next_s <= arrives_s and timeline.next_s <= wakes_s:
            if timeline.next_s == math.inf:
                raise SimulationStuck(counts.arrived - counts.ended, timeline.now_s)
            timeline.pop()()
        elif arrives_s <= wakes_s:
            assert following is not None
            timeline.now_s = arrives_s
            fleet.arrive(following)
            following = next(arrivals, None)
        else:
            timeline.now_s = wakes_s
            fleet.wake_up()
        turns += 1
        if on_progress is not None and turns % PROGRESS_EVENTS == 0:
            counts.end_s = timeline.now_s
            if not on_progress(counts):
                counts.is_complete = False
                break
    fleet.close()
    counts.end_s = timeline.now_s
    return counts


def _ignored(outcome: Outcome) -> None:
    """Take no outcomes."""
