"""The results of a scenario as one document."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from safelight.core.version import __version__
from safelight.simulator.results.figures import NUMBERS, SHARES, SIGNED, Figures, RunKey
from safelight.simulator.results.intervals import CONFIDENCE, Estimate, estimate
from safelight.simulator.results.timeline import PeriodFigures

MOST_WORKERS: Final = 40
"""Workers whose spans are kept and drawn."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker did from `start_s` to `end_s` of virtual time.

    Attributes:
        what: a model's name for ticks, or another word for other work.
    """

    worker: str
    what: str
    start_s: float
    end_s: float


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        rate_per_s: mean arrivals per second.
        is_complete: False if it was interrupted; then figures are those of what had happened.
        notes: sentences on what the figures leave out.
        timeline: by periods of one length.
        spans: of the workers, at the start of the run.
    """

    key: RunKey
    rate_per_s: float
    is_complete: bool
    figures: Figures
    quality_metric: str = ""
    notes: tuple[str, ...] = ()
    timeline: tuple[PeriodFigures, ...] = ()
    spans: tuple[Span, ...] = ()


class RunDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one run."""

    simulated: Literal[True] = True
    variant: str = ""
    policy: str
    load: float
    rate_per_s: float
    seed: int
    is_complete: bool
    figures: Figures


class SummaryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of all complete runs of one variant and policy at one load.

    Attributes:
        n: how many runs these are.
        figures: means with intervals, by name; figures that no run has are left out.
    """

    simulated: Literal[True] = True
    variant: str = ""
    policy: str
    load: float
    rate_per_s: float
    n: int
    figures: dict[str, Estimate]


class SimulationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a scenario.

    Attributes:
        scenario: the name of the file.
        is_complete: whether all runs are there and complete.
        confidence: of the intervals.
        policies: the choices by name.
        variant_policies: by variant and name: choices that differ from these.
        quality_metric: what `quality` means, where a profile says it.
        notes: sentences on what the figures leave out.
        summaries: by variant, policy and load.
        runs: by variant, policy, load and seed.
    """

    simulated: Literal[True] = True
    scenario: str
    title: str
    safelight: str = __version__
    is_complete: bool
    confidence: float = CONFIDENCE
    policies: dict[str, tuple[str, ...]]
    variant_policies: dict[str, dict[str, tuple[str, ...]]] = {}
    quality_metric: str = ""
    notes: tuple[str, ...] = ()
    summaries: tuple[SummaryDocument, ...]
    runs: tuple[RunDocument, ...]


def document_of(
    results: Sequence[RunResult],
    *,
    scenario: str,
    title: str,
    policies: dict[str, tuple[str, ...]],
    is_complete: bool,
    policies_of_variants: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None,
    quality_metric: str = "",
    notes: tuple[str, ...] = (),
) -> SimulationDocument:
    """Return the document of the runs that there are."""
    return SimulationDocument(
        scenario=scenario,
        title=title,
        is_complete=is_complete,
        policies=policies,
        variant_policies={
            variant: differing
            for variant, own in (policies_of_variants or {}).items()
            if (differing := {name: choices for name, choices in own.items() if choices != policies[name]})
        },
        quality_metric=quality_metric,
        notes=notes,
        summaries=summaries_of(results),
        runs=tuple(
            RunDocument(
                variant=result.key.variant,
                policy=result.key.policy,
                load=result.key.load,
                rate_per_s=result.rate_per_s,
                seed=result.key.seed,
                is_complete=result.is_complete,
                figures=result.figures,
            )
            for result in results
        ),
    )


def summaries_of(results: Iterable[RunResult]) -> tuple[SummaryDocument, ...]:
    """Return means and intervals over the complete runs of each variant, policy and load, in order of appearance."""
    groups: dict[tuple[str, str, float], list[RunResult]] = {}
    for result in results:
        if result.is_complete:
            groups.setdefault((result.key.variant, result.key.policy, result.key.load), []).append(result)
    return tuple(
        SummaryDocument(
            variant=variant,
            policy=policy,
            load=load,
            rate_per_s=sum(run.rate_per_s for run in runs) / len(runs),
            n=len(runs),
            figures=_estimates(runs),
        )
        for (variant, policy, load), runs in groups.items()
    )


def _estimates(runs: Sequence[RunResult]) -> dict[str, Estimate]:
    found = {
        name: estimate(
            [getattr(run.figures, name) for run in runs],
            least=-math.inf if name in SIGNED else 0.0,
            most=1.0 if name in SHARES else math.inf,
        )
        for name in NUMBERS
    }
    return {name: value for name, value in found.items() if value is not None}
