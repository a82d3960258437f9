"""Compares two runs, with confidence intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from safelight.bench.errors import BadResult
from safelight.bench.formatting import format_seconds
from safelight.bench.stats.resampling import (
    QUANTILES,
    TAILS,
    Bounds,
    Runs,
    Values,
    difference_interval,
    interval,
    mean_and_quantiles,
    resampled,
)
from safelight.bench.stats.result_file import BenchResult, IntervalEstimate, LoadFacts
from safelight.core.errors import shorten

DRAWS = 1000
ENOUGH = 10
"""The fewest answers of each run that can be compared."""

LATENCIES = ("latency_mean", *(f"latency_{name}" for name in QUANTILES))

LEAST_RATE = 1e-60
RATES = ("throughput_qps", "goodput_qps")
SHARES = ("slo_attainment_rate", "slo_attainment_rate_since_due", "failed_share")
OF_DEADLINES = ("goodput_qps", "slo_attainment_rate", "slo_attainment_rate_since_due")
LESS_IS_BETTER = (*LATENCIES, "failed_share")
MAIN = "latency_p50"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of B compared with that of A.

    Attributes:
        name: of the metric.
        of_a: its value in A.
        of_b: its value in B.
        ratio: B divided by A; None for shares.
        difference: B minus A, for shares; None for other metrics.
        bounds: the 95 % interval of the ratio or the difference.
        chance: the probability that B is better, from 0 to 1.
    """

    name: str
    of_a: float
    of_b: float
    ratio: float | None = None
    difference: float | None = None
    bounds: Bounds
    chance: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval excludes equality."""
        equal = 0.0 if self.ratio is None else 1.0
        return self.bounds[1] < equal or self.bounds[0] > equal

    @property
    def is_better(self) -> bool:
        """Whether B is better, and the interval confirms it."""
        return self.is_sure and (self.of_b < self.of_a) == (self.name in LESS_IS_BETTER)

    @property
    def verdict(self) -> str:
        """The finding about B, in words."""
        if not self.is_sure:
            return "no difference that is sure"
        if self.name in LATENCIES:
            return "B is faster" if self.is_better else "B is slower"
        return "B is better" if self.is_better else "B is worse"


def compare(a: Runs, b: Runs, *, seed: int = 0, draws: int = DRAWS) -> Sequence[Difference]:
    """Compare the latencies of two loads, given by run and in order of arrival, by a bootstrap.

    Raises:
        BadResult: if there are too few answers.
    """
    counts = [sum(map(len, runs)) for runs in (a, b)]
    if min(counts) < ENOUGH:
        raise BadResult(
            f"The runs have {counts[0]} and {counts[1]} answers; it takes {ENOUGH} of each to compare them."
        )
    rng = np.random.default_rng(seed)
    drawn = [resampled(runs, mean_and_quantiles, rng=rng, draws=draws) for runs in (a, b)]
    count = min(map(len, drawn))
    seen = [mean_and_quantiles(np.concatenate(runs)) for runs in (a, b)]
    ratios = drawn[1][:count] / drawn[0][:count]
    return [_of_latencies(*each) for each in zip(LATENCIES, *seen, ratios.T, strict=True)]


def _of_latencies(name: str, of_a: float, of_b: float, ratios: Values) -> Difference:
    return Difference(
        name=name,
        of_a=float(of_a),
        of_b=float(of_b),
        ratio=float(of_b / of_a),
        bounds=interval(ratios),
        chance=float(np.mean(ratios < 1) + np.mean(ratios == 1) / 2),
    )


def compare_intervals(a: BenchResult, b: BenchResult) -> Sequence[Difference]:
    """Compare the rates and shares that both loads have, using their own intervals."""
    return [
        difference
        for name in (*RATES, *SHARES)
        if name not in OF_DEADLINES or have_same_deadlines(a, b)
        if (of_a := a.interval_of(name)) and (of_b := b.interval_of(name))
        if (difference := _of_shares(name, of_a, of_b) if name in SHARES else _of_rates(name, of_a, of_b))
    ]


def _of_shares(name: str, a: IntervalEstimate, b: IntervalEstimate) -> Difference:
    difference, bounds = b.value - a.value, difference_interval(a.value, b.value, a.bounds, b.bounds)
    chance = _chance(difference, bounds, less_is_better=name in LESS_IS_BETTER)
    return Difference(name=name, of_a=a.value, of_b=b.value, difference=difference, bounds=bounds, chance=chance)


def _of_rates(name: str, a: IntervalEstimate, b: IntervalEstimate) -> Difference | None:
    """Compare rates as a difference of logarithms; None if a rate may be 0."""
    if min(a.value, b.value, *a.bounds, *b.bounds) < LEAST_RATE:
        return None
    (of_a, *bounds_a), (of_b, *bounds_b) = ([math.log(x) for x in (each.value, *each.bounds)] for each in (a, b))
    low, high = difference_interval(of_a, of_b, (bounds_a[0], bounds_a[1]), (bounds_b[0], bounds_b[1]))
    return Difference(
        name=name,
        of_a=a.value,
        of_b=b.value,
        ratio=b.value / a.value,
        bounds=(math.exp(low), math.exp(high)),
        chance=_chance(of_b - of_a, (low, high), less_is_better=False),
    )


def _chance(difference: float, bounds: Bounds, *, less_is_better: bool) -> float:
    """Return the probability that B is better, from a normal law fitted to the side of the interval towards zero."""
    reach = difference - bounds[0] if difference > 0 else bounds[1] - difference
    is_more = 0.5 if reach <= 0 else NormalDist().cdf(NormalDist().inv_cdf(TAILS[1]) * difference / reach)
    return 1 - is_more if less_is_better else is_more


def summary_of(differences: Sequence[Difference]) -> str:
    """Return a sentence: whether B is faster by its median latency, and which metrics disagree."""
    main = next(each for each in differences if each.name == MAIN)
    assert main.ratio is not None
    low, high = main.bounds
    ratio = f"its median latency is {main.ratio:.3g} of A's ({low:.3g} to {high:.3g})"
    if main.is_sure:
        summary = f"{main.verdict}: {ratio}, sure to {_confidence(main.chance)}"
    else:
        summary = f"No difference in speed that is sure: {ratio}"
    others = [each for each in differences if each.is_sure and each is not main and not _agrees(each, main)]
    return "; but ".join([summary, ", ".join(map(_describe, others))] if others else [summary]) + "."


def _agrees(each: Difference, main: Difference) -> bool:
    return main.is_sure and each.is_better == main.is_better


def _describe(each: Difference) -> str:
    if each.difference is not None:
        return f"{each.name} is {each.of_b:.4g} in place of {each.of_a:.4g}"
    return f"{each.name} is {each.ratio:.3g} of A's"


def _confidence(chance: float) -> str:
    sure = max(chance, 1 - chance)
    return "more than 99.9 %" if sure >= 0.999 else f"{100 * sure:.1f} %"


def cautions(a: BenchResult, b: BenchResult) -> Sequence[str]:
    """Return sentences about differences that make the comparison doubtful."""
    found = [
        f"The runs differ in {name}: {shorten(getattr(a, name))} and {shorten(getattr(b, name))}."
        for name in LoadFacts.__struct_fields__
        if getattr(a, name) != getattr(b, name)
    ]
    if (a.has_deadlines or b.has_deadlines) and not have_same_deadlines(a, b):
        found.append(
            f"The runs differ in deadlines: {_deadlines(a)} and {_deadlines(b)}; "
            "attainment and goodput are not compared."
        )
    for letter, each in (("A", a), ("B", b)):
        if each.partial:
            found.append(f"{letter} was ended early.")
        if each.failed_requests:
            found.append(f"{letter} has {each.failed_requests:,} failures, whose latencies are not compared.")
        if each.confidence is None:
            found.append(f"{letter} was written without intervals, so that only latencies are compared.")
    return found


def have_same_deadlines(a: BenchResult, b: BenchResult) -> bool:
    """Return whether two loads had the same deadlines, as far as the results show."""
    return bool(a.deadlines_s and b.deadlines_s) and np.allclose(a.deadlines_s, b.deadlines_s, rtol=1e-9, atol=0.0)


def _deadlines(of: BenchResult) -> str:
    if not of.has_deadlines:
        return "none"
    if not of.deadlines_s:
        return "some that the file does not tell"
    return f"{format_seconds(of.deadlines_s[0])} in the mean ({of.slo_source})"
