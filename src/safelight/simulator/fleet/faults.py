"""What goes wrong in a simulated fleet."""

import math
from collections import defaultdict
from collections.abc import Callable

from safelight.control.liveness import BEAT_S
from safelight.simulator.fleet.fleet import SimulatedFleet
from safelight.simulator.fleet.timeline import Timeline
from safelight.simulator.fleet.worker import WorkerProcess
from safelight.simulator.simulation import Fault


class FaultPlayer:
    """Plays faults at their times.

    The controller judges workers by their signs of life. A worker begins to send them when it has a fault, since those
    of sound workers change nothing.
    """

    def __init__(self, fleet: SimulatedFleet, timeline: Timeline, *, beat_s: float = BEAT_S) -> None:
        self._fleet = fleet
        self._timeline = timeline
        self._beat_s = beat_s
        self._beating = set[str]()
        self._factors = defaultdict[str, list[float]](list)

    def plan(self, fault: Fault) -> None:
        """Let a fault happen."""
        self._timeline.at(fault.at_s, lambda: self._begin(fault))

    def _begin(self, fault: Fault) -> None:
        process = self._fleet.process(fault.worker)
        until_s = math.inf if fault.for_s is None else fault.at_s + fault.for_s
        match fault.kind:
            case "die":
                self._fleet.lose(fault.worker, "it died")
            case "slow":
                self._slow(fault, self._factors[fault.worker].append)
                if until_s < math.inf:
                    self._timeline.at(until_s, lambda: self._slow(fault, self._factors[fault.worker].remove))
            case "hang" | "partition" if process is None:
                self._fleet.halt_start(fault.worker, until_s, is_silent=fault.kind == "partition")
            case "hang" if process is not None:
                self._beat(process)
                process.hang(until_s)
            case "partition" if process is not None:
                self._beat(process)
                self._fleet.cut_off(fault.worker)
                if until_s < math.inf:
                    self._timeline.at(until_s, lambda: self._fleet.reconnect(process))

    def _slow(self, fault: Fault, change: Callable[[float], None]) -> None:
        change(fault.factor)
        self._fleet.slow_down(fault.worker, math.prod(self._factors[fault.worker]))

    def _beat(self, process: WorkerProcess) -> None:
        """Send signs of life from now on, until the process ends."""
        if process.name not in self._beating:
            self._beating.add(process.name)
            self._beat_on(process)

    def _beat_on(self, process: WorkerProcess) -> None:
        if process.is_dead:
            return
        self._fleet.report(process, process.beat())
        self._timeline.at(self._timeline.now_s + self._beat_s, lambda: self._beat_on(process))
