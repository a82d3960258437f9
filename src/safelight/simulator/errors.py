"""What can go wrong in a simulation.

SafelightError
└── SimulatorError
    ├── RequestNotRouted    a request that a routing policy sends nowhere, although every worker has room
    ├── SimulationStuck     requests that never end
    ├── ProcessKilled       a process of several was killed
    └── BadScenario         a scenario that cannot be simulated as it is
"""

from safelight.core.errors import SafelightError


class SimulatorError(SafelightError):
    """Root of what can go wrong in a simulation."""


class RequestNotRouted(SimulatorError):
    """A request that a routing policy sends nowhere, although every worker has room."""

    def __init__(self, policy: str, sequence: int) -> None:
        super().__init__(
            f"The routing policy {policy!r} sends request {sequence} nowhere, although every worker has room; "
            "its `choose` must return a worker then."
        )


class BadScenario(SimulatorError):
    """A scenario that cannot be simulated as it is.

    Attributes:
        place: the key that is wrong, such as `fleet[0].count`; empty if it is the file as a whole.
    """

    def __init__(self, problem: str, *, place: str = "") -> None:
        super().__init__(f"{place}{'' if problem.startswith(':') else ' '}{problem}" if place else problem)
        self.place = place


class ProcessKilled(SimulatorError):
    """A process of several was killed."""

    def __init__(self) -> None:
        super().__init__(
            "A process that simulated was killed from outside, perhaps for its memory; use fewer of them (--jobs 1)."
        )


class SimulationStuck(SimulatorError):
    """Requests that never end, since nothing is left to happen."""

    def __init__(self, requests: int, now_s: float) -> None:
        super().__init__(
            f"{requests} requests never end: nothing happens any more after {now_s:g} s of virtual time. "
            "Perhaps a worker hangs for ever and is not replaced."
        )
