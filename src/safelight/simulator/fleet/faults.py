"""What goes wrong in a simulated fleet."""

import math

from safelight.control.liveness import LivenessLimits
from safelight.simulator.fleet.fleet import SimulatedFleet
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.fleet.worker import WorkerProcess
from safelight.simulator.simulation import Fault


class FaultPlayer:
    """Plays faults at their times; those of one worker may overlap, and each lasts as long as it says.

    The controller judges workers by their signs of life. A worker begins to send them when it has a fault, since those
    of sound workers change nothing. A worker that starts is judged here, by the limits of the server for its start.
    """

    def __init__(self, fleet: SimulatedFleet, timeline: Timeline, limits: LivenessLimits) -> None:
        self._fleet = fleet
        self._timeline = timeline
        self._limits = limits
        self._beating: set[str] = set()

    def plan(self, fault: Fault) -> None:
        """Let a fault happen."""
        self._timeline.at(fault.at_s, lambda: self._begin(fault))

    def _begin(self, fault: Fault) -> None:
        process = self._fleet.process(fault.worker)
        for_s = math.inf if fault.for_s is None else fault.for_s
        until_s = fault.at_s + for_s
        if process is not None and fault.kind != "die":
            self._begin_to_beat(process)
        match fault.kind:
            case "die":
                self._fleet.lose(fault.worker, "it died")
            case "slow":
                self._fleet.slow_down(fault.worker, fault.factor)
                if until_s < math.inf:
                    self._timeline.at(until_s, lambda: self._fleet.slow_down(fault.worker, fault.factor, ends=True))
            case "hang" if process is not None:
                process.hang(until_s)
            case "hang":
                self._fleet.stall_start(fault.worker, for_s, killed_after_s=self._limits.start_stalled_s)
            case "partition" if process is not None:
                self._fleet.cut_off(fault.worker, until_s)
                if until_s < math.inf:
                    self._timeline.at(until_s, lambda: self._fleet.reconnect(process))
            case "partition":
                self._fleet.hide_start(fault.worker, for_s, killed_after_s=self._limits.start_silence_s)

    def _begin_to_beat(self, process: WorkerProcess) -> None:
        if process.name not in self._beating:
            self._beating.add(process.name)
            self._beat(process)

    def _beat(self, process: WorkerProcess) -> None:
        """Send signs of life from now on, until the process ends or nothing else is left to happen."""
        if process.is_dead:
            return
        self._fleet.report(process, process.beat())
        self._timeline.at(self._timeline.now_s + self._limits.beat_s, lambda: self._beat(process))
