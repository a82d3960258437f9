"""Mixed-integer linear programs as values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of a program.

    Attributes:
        cost: its factor in the objective, which is minimised.
        is_integer: whether it takes whole values only.
    """

    cost: float = 0.0
    lower: float = 0.0
    upper: float = math.inf
    is_integer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """`lower <= sum of factor * variable <= upper`; `factors` are by the number of the variable."""

    factors: Mapping[int, float]
    lower: float = -math.inf
    upper: float = math.inf


@dataclass(slots=True, kw_only=True)
class Program:
    """A program that is being written down."""

    variables: list[Variable] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)

    def variable(
        self, *, cost: float = 0.0, lower: float = 0.0, upper: float = math.inf, is_integer: bool = False
    ) -> int:
        """Add a variable; returns its number."""
        self.variables.append(Variable(cost=cost, lower=lower, upper=upper, is_integer=is_integer))
        return len(self.variables) - 1

    def require(self, factors: Mapping[int, float], *, lower: float = -math.inf, upper: float = math.inf) -> None:
        """Add a constraint."""
        self.constraints.append(Constraint(factors=factors, lower=lower, upper=upper))

    def cost(self, values: Sequence[float]) -> float:
        """Return the objective at `values`."""
        return sum(variable.cost * value for variable, value in zip(self.variables, values, strict=True))
