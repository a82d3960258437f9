"""The only place where a solver is called: HiGHS (Huangfu and Hall, Mathematical Programming Computation 10, 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from safelight.planner.program import Program

if TYPE_CHECKING:
    import highspy

MOST_NODES: Final = 1000
FEASIBILITY: Final = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Values of a program's variables.

    Attributes:
        is_optimal: whether no values cost less, but for the gap; else the search ended at its limit of nodes.
    """

    values: Sequence[float]
    is_optimal: bool


def solve(
    program: Program, *, most_nodes: int = MOST_NODES, gap: float = 0.0, start: Sequence[float] | None = None
) -> Solution | None:
    """Return the best values that were found, or None if there are none.

    Args:
        program: to be solved.
        most_nodes: limit of the search.
        gap: how much more than the best values the answer may cost, as a share, to end sooner.
        start: values to begin with, which may be infeasible.

    The work is limited by nodes of the search tree, not by time, and done by one thread, so that equal programs have
    equal solutions.
    """
    import highspy  # noqa: PLC0415 - it loads numpy, which a controller that plans nothing does not need

    highs = highspy.Highs()  # type: ignore[no-untyped-call]  # its constructor has no annotations
    for option, value in (
        ("output_flag", False),
        ("threads", 1),
        ("random_seed", 0),
        ("mip_rel_gap", gap),
        ("mip_abs_gap", FEASIBILITY),
        ("mip_max_nodes", most_nodes),
    ):
        highs.setOptionValue(option, value)
    highs.passModel(_model(program))
    if start is not None:
        known = highspy.HighsSolution()
        known.col_value = list(start)
        known.value_valid = True
        highs.setSolution(known)
    highs.run()
    found = highs.getSolution()
    if (
        not found.value_valid
        or highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible
    ):
        return None
    return Solution(
        values=tuple(float(value) for value in found.col_value),
        is_optimal=highs.getModelStatus() == highspy.HighsModelStatus.kOptimal,
    )


def _model(program: Program) -> "highspy.HighsLp":
    import highspy  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415

    variables, constraints = program.variables, program.constraints
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(variables), len(constraints)
    model.col_cost_ = np.array([each.cost for each in variables])
    model.col_lower_ = np.array([each.lower for each in variables])
    model.col_upper_ = np.array([each.upper for each in variables])
    model.row_lower_ = np.array([each.lower for each in constraints])
    model.row_upper_ = np.array([each.upper for each in constraints])
    integer, real = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    model.integrality_ = [integer if each.is_integer else real for each in variables]
    matrix = model.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kRowwise
    matrix.num_col_, matrix.num_row_ = len(variables), len(constraints)
    matrix.start_ = np.cumsum([0, *(len(each.factors) for each in constraints)])
    matrix.index_ = np.array([number for each in constraints for number in each.factors], dtype=np.int32)
    matrix.value_ = np.array([factor for each in constraints for factor in each.factors.values()])
    return model
