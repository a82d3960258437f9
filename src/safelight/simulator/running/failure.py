"""A run that cannot be done, after others have been."""

from collections.abc import Sequence

from safelight.simulator.errors import SimulatorError
from safelight.simulator.results.documents import RunResult


class RunFailed(SimulatorError):
    """One of several runs cannot be done.

    Attributes:
        cause: why.
        results: of the runs that were done, or ended early, by then.
    """

    def __init__(self, run: str, cause: Exception, results: Sequence[RunResult]) -> None:
        done = sum(result.is_complete for result in results)
        super().__init__(f"The run {run!r} failed, {done} complete ones are kept: {cause}")
        self.cause = cause
        self.results = tuple(results)
