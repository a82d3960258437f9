"""Errors of the planner.

PlannerError
    ImpossibleProblem   a problem contradicts itself
"""

from safelight.core.errors import SafelightError


class PlannerError(SafelightError):
    """Root of the planner's errors."""


class ImpossibleProblem(PlannerError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"This cannot be planned: {reason}.")
