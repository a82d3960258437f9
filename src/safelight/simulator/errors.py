"""What can go wrong in a simulation.

SafelightError
└── SimulatorError
    └── RequestNotRouted    a request that a routing policy sends nowhere, although every worker has room
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
