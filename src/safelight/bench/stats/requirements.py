"""Conditions that a run must fulfil, for use in CI: `attainment>=0.99`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from safelight.bench.errors import BadRequirement
from safelight.bench.load.runner import Plan, Run
from safelight.bench.records import Record
from safelight.bench.stats.metrics import figures_of
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

_OF_DEADLINES = "it takes deadlines: give them with --slo-ms or --slo."
_LACKS = {
    "slo_attainment_rate": _OF_DEADLINES,
    "goodput_qps": _OF_DEADLINES,
    "scene_score_mean": "it takes captions of scenes, and a look at all pictures: --dataset shapes, --check.",
}
"""Why a run has not got a figure that others have."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_FORM = re.compile(r"\s*([A-Za-z_0-9]+)\s*(>=|<=|==|>|<)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(ms|s|%)?\s*")
_UNITS = {"ms": "0.001", "s": "1", "%": "0.01", None: "1"}


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A condition on one figure."""

    text: str
    figure: str
    comparison: str
    bound: float

    def check(self, figures: Mapping[str, object]) -> None:
        """Raise BadRequirement unless there is such a figure."""
        if not isinstance(figures.get(self.figure), int | float):
            known = [name for name, each in figures.items() if isinstance(each, int | float)]
            why = _LACKS.get(self.figure) or nearest(self.figure, [*SHORT, *known])
            raise BadRequirement(f"--require {shorten(self.text)}: this run can have no figure {self.figure!r}; {why}")

    def holds(self, figures: Mapping[str, object]) -> bool:
        """Say whether it is fulfilled; a figure that a run does not tell, for want of successes, fulfils nothing."""
        value = figures.get(self.figure)
        return isinstance(value, int | float) and _COMPARISONS[self.comparison](value, self.bound)


def check_possible(requirements: Sequence[Requirement], plan: Plan, facts: Mapping[str, object]) -> None:
    """Look, before a run, whether it can have the figures that are asked for.

    Args:
        requirements: what is asked for.
        plan: of the run.
        facts: that stand beside its figures.

    Raises:
        BadRequirement: if it cannot.
    """
    if requirements:
        figures = {**facts, **_best_figures(plan)}
        for each in requirements:
            each.check(figures)


def _best_figures(plan: Plan) -> Mapping[str, object]:
    """Return the figures of a made-up run in which the server tells all that servers may tell; only names count."""
    deadlines_s = [ask.deadline_s for ask in plan.asks if ask.deadline_s is not None]
    deadline_s = deadlines_s[0] if deadlines_s else None if plan.estimator is None else 1.0
    due_s = max((ask.due_s for ask in plan.asks), default=0.0)
    record = Record(
        ask=msgspec.structs.replace(plan.asks[0], deadline_s=deadline_s),
        due_s=due_s,
        freed_s=due_s,
        sent_s=due_s,
        done_s=due_s + 1,
        first_preview_s=due_s,
        queue_s=0.0,
        compute_s=0.0,
        peak_memory_mb=0.0,
        scene_score=1.0 if plan.scores_scenes and plan.checks_pictures else None,
    )
    return figures_of(Run(plan=plan, records=[record], duration_s=due_s + 1, began_at=0.0))


def parse(text: str) -> Requirement:
    """Return the condition that is written as `attainment>=0.99`, `p95<250ms` or `failed==0`; raises BadRequirement."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadRequirement(f"--require {shorten(text)} is no condition; write attainment>=0.99, p95<2s or failed==0.")
    name, comparison, bound, unit = match.groups()
    return Requirement(
        text=text,
        figure=SHORT.get(name, name),
        comparison=comparison,
        bound=float(Decimal(bound) * Decimal(_UNITS[unit])),
    )
