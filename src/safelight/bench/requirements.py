"""Conditions that a run must fulfil, for use in CI: `attainment>=0.99`."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from safelight.bench.errors import BadRequirement
from safelight.core.errors import nearest, shorten

SHORT = {
    "attainment": "slo_attainment_rate",
    "throughput": "throughput_qps",
    "goodput": "goodput_qps",
    "failed": "failed_requests",
    "completed": "completed_requests",
    "p50": "latency_p50",
    "p90": "latency_p90",
    "p95": "latency_p95",
    "p99": "latency_p99",
    "scene_score": "scene_score_mean",
}
"""Short words for figures that are often wanted."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_FORM = re.compile(r"\s*([A-Za-z_0-9]+)\s*(>=|<=|==|>|<)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(ms|s|%)?\s*")
_UNITS = {"ms": 1e-3, "s": 1.0, "%": 1e-2, None: 1.0}


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A condition on one figure."""

    text: str
    figure: str
    comparison: str
    bound: float

    def holds(self, figures: Mapping[str, object]) -> bool:
        """Say whether it is fulfilled; a figure that a run cannot tell, for want of successes, fulfils nothing.

        Raises:
            BadRequirement: if there is no such figure.
        """
        value = figures.get(self.figure)
        if self.figure not in figures or not isinstance(value, int | float | None):
            known = [name for name, each in figures.items() if isinstance(each, int | float)]
            raise BadRequirement(
                f"--require {shorten(self.text)}: this run has no figure {self.figure!r}; "
                f"{nearest(self.figure, [*SHORT, *known])}"
            )
        return value is not None and _COMPARISONS[self.comparison](float(value), self.bound)


def parse(text: str) -> Requirement:
    """Return the condition that is written as `attainment>=0.99`, `p95<250ms` or `failed==0`; raises BadRequirement."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadRequirement(f"--require {shorten(text)} is no condition; write attainment>=0.99, p95<2s or failed==0.")
    name, comparison, bound, unit = match.groups()
    return Requirement(
        text=text, figure=SHORT.get(name, name), comparison=comparison, bound=float(bound) * _UNITS[unit]
    )
