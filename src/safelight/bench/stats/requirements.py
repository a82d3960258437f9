"""Conditions that a run must fulfil, for use in CI: `attainment>=0.99`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from safelight.bench.errors import BadRequirement
from safelight.bench.records import Record
from safelight.bench.run import Run, RunConfig
from safelight.bench.stats.metrics import compute_metrics
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
"""Short names of common metrics."""

_OF_DEADLINES = "it takes deadlines: give them with --slo-ms or --slo."
_LACKS = {
    "slo_attainment_rate": _OF_DEADLINES,
    "goodput_qps": _OF_DEADLINES,
    "scene_score_mean": "it takes captions of scenes, and a look at all pictures: --dataset shapes, --check.",
}
"""Why a run may lack a metric."""

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
    """A condition on one metric."""

    text: str
    metric: str
    comparison: str
    bound: float

    def check(self, metrics: Mapping[str, object]) -> None:
        """Raise BadRequirement if there is no such metric."""
        if not isinstance(metrics.get(self.metric), int | float):
            known = [name for name, each in metrics.items() if isinstance(each, int | float)]
            why = _LACKS.get(self.metric) or nearest(self.metric, [*SHORT, *known])
            raise BadRequirement(f"--require {shorten(self.text)}: this run can have no figure {self.metric!r}; {why}")

    def holds(self, metrics: Mapping[str, object]) -> bool:
        """Return whether the condition holds; it does not if the metric is missing for lack of successes."""
        value = metrics.get(self.metric)
        return isinstance(value, int | float) and _COMPARISONS[self.comparison](value, self.bound)


def check_possible(requirements: Sequence[Requirement], config: RunConfig, facts: Mapping[str, object]) -> None:
    """Check before a run that it can have the metrics of its conditions.

    Args:
        requirements: the conditions.
        config: of the run.
        facts: that are stored with its metrics.

    Raises:
        BadRequirement: if a metric is impossible.
    """
    if requirements:
        metrics = {**facts, **_possible_metrics(config)}
        for each in requirements:
            each.check(metrics)


def _possible_metrics(config: RunConfig) -> Mapping[str, object]:
    """Return metrics of a fictitious run in which the server reports everything; only their names matter."""
    deadlines_s = [request.deadline_s for request in config.requests if request.deadline_s is not None]
    deadline_s = deadlines_s[0] if deadlines_s else None if config.estimator is None else 1.0
    due_s = max((request.due_s for request in config.requests), default=0.0)
    record = Record(
        request=msgspec.structs.replace(config.requests[0], deadline_s=deadline_s),
        due_s=due_s,
        released_s=due_s,
        sent_s=due_s,
        done_s=due_s + 1,
        first_preview_s=due_s,
        queue_s=0.0,
        compute_s=0.0,
        peak_memory_mb=0.0,
        scene_score=1.0 if config.scores_scenes and config.checks_pictures else None,
    )
    return compute_metrics(Run(config=config, records=[record], duration_s=due_s + 1, began_at=0.0))


def parse(text: str) -> Requirement:
    """Return the condition that is written as `attainment>=0.99`, `p95<250ms` or `failed==0`; raises BadRequirement."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadRequirement(f"--require {shorten(text)} is no condition; write attainment>=0.99, p95<2s or failed==0.")
    name, comparison, bound, unit = match.groups()
    return Requirement(
        text=text,
        metric=SHORT.get(name, name),
        comparison=comparison,
        bound=float(Decimal(bound) * Decimal(_UNITS[unit])),
    )
