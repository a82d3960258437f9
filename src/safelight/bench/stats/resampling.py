"""Confidence of metrics: a block bootstrap for times and rates, effective sample sizes for shares.

Requests that are neighbours in time wait in the same queue, so their latencies are correlated, and intervals for
independent samples would be too narrow. Runs of the same load also differ by more than their requests explain.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtrit

Values = npt.NDArray[np.float64]
Runs = Sequence[Values]
"""For each run an array with one number, or one vector, for each request in order of time; no run is empty."""

Statistic = Callable[[Values], npt.ArrayLike]
"""Computes one metric, or several, from measurements."""

Bounds = tuple[float, float]

DRAWS = 400
MOST_VALUES_DRAWN = 20_000_000
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
MOST_LOG = 130.0
"""Limit of logarithms, so that ratios of draws stay finite."""

SPAN = 5.0
"""Autocorrelations are summed up to this multiple of the autocorrelation time; beyond that they are noise."""


def mean_and_quantiles(values: Values) -> Values:
    """Return the mean and each of `QUANTILES`."""
    return np.array([values.mean(), *np.quantile(values, [*QUANTILES.values()])])


def resampled(runs: Runs, statistic: Statistic, *, rng: np.random.Generator, draws: int = DRAWS) -> Values:
    """Return a statistic of each of `draws` resampled loads.

    Each run is resampled by blocks of neighbours (Davison and Hinkley, Bootstrap Methods and their Application, 1997,
    section 8.2). The variance between runs that this leaves out is added by Student's law, as for independent
    replications (Law, Simulation Modeling and Analysis, 2015, section 9.4), on a log scale for positive statistics.
    """
    count = sum(map(len, runs))
    draws = max(50, min(draws, MOST_VALUES_DRAWN // count))
    lengths = [_block_length(run) for run in runs]
    drawn = np.array([statistic(_drawn(runs, lengths, rng)) for _ in range(draws)], float)
    if len(runs) == 1:
        return drawn
    of_runs = np.array([statistic(run) for run in runs], float)
    lowest = np.minimum(drawn.min(axis=0), of_runs.min(axis=0))
    if np.all(lowest > 0):
        logs = _differing(np.log(drawn), np.log(of_runs), rng)
        return np.exp(np.clip(logs, -MOST_LOG, MOST_LOG))
    differing = _differing(drawn, of_runs, rng)
    return np.where(lowest < 0, differing, np.maximum(0.0, differing))


def _differing(drawn: Values, of_runs: Values, rng: np.random.Generator) -> Values:
    """Widen the draws to the variance between runs, if that is larger."""
    count, runs = len(drawn), len(of_runs)
    beyond = np.sqrt(np.maximum(0.0, of_runs.var(axis=0, ddof=1) / runs - drawn.var(axis=0)))
    by_chance = rng.permutation(stdtrit(runs - 1, (np.arange(count) + 0.5) / count))
    differing: Values = drawn + np.multiply.outer(by_chance, beyond)
    return differing


def _drawn(runs: Runs, lengths: Sequence[int], rng: np.random.Generator) -> Values:
    return np.concatenate([_from_blocks(run, length, rng) for run, length in zip(runs, lengths, strict=True)])


def _from_blocks(values: Values, length: int, rng: np.random.Generator) -> Values:
    count = len(values)
    starts = rng.integers(0, count, size=-(-count // length))
    drawn: Values = values[(starts[:, None] + np.arange(length)).ravel()[:count] % count]
    return drawn


def _block_length(values: Values) -> int:
    """Return the block length: the longest that any column needs.

    Politis and White, Econometric Reviews 23 (2004), for the circular bootstrap, as corrected by Patton, Politis and
    White (2009), with the window of `_autocorrelations`.
    """
    return max(map(_length_for, values.reshape(len(values), -1).T))


def _length_for(values: Values) -> int:
    count = len(values)
    alike = _autocorrelations(values)
    slope = 2 * abs(float(np.arange(len(alike)) @ alike)) / _time_of(alike)
    return max(1, round(min(math.cbrt(1.5 * slope**2 * count), 3 * math.sqrt(count), count / 3)))


def _autocorrelations(values: Values) -> Values:
    """Return autocorrelations from lag 0 up to the first lag that is `SPAN` times their time or more.

    The window is Sokal's (Monte Carlo Methods in Statistical Mechanics, 1997, section 3).
    """
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * len(values))
    products = np.fft.irfft(spectrum * spectrum.conj())[: len(values)]
    if products[0] <= 0:
        return np.ones(1)
    alike: Values = products / products[0]
    is_far = np.arange(len(alike)) >= SPAN * (2 * np.cumsum(alike) - 1)
    return alike[: int(np.argmax(is_far)) + 1 if is_far.any() else len(alike)]


def _time_of(alike: Values) -> float:
    """Return the autocorrelation time: how many requests carry as much information as one independent request."""
    return max(1.0, 2 * float(alike.sum()) - 1)


def interval(drawn: Values) -> Bounds:
    """Return the bounds that contain the share `LEVEL` of the draws."""
    low, high = np.quantile(drawn, TAILS)
    return float(low), float(high)


def effective_size(runs: Runs) -> float:
    """Return the effective sample size of a share: how many independent requests would be as informative.

    It is Kish's (Survey Sampling, 1965): the variance of one value over that of the mean, which is what neighbours
    within runs show, or what the means of runs show, whichever is more. Where that is the runs, it is less by the
    square of Student's laws, since they are few (Korn and Graubard, Survey Methodology 24, 1998).

    Args:
        runs: 1.0 for each request that counts, and 0.0 for each other.
    """
    pooled = np.concatenate(runs)
    count, distribution_metrics = len(pooled), float(pooled.var())
    if distribution_metrics == 0:
        return float(count)
    within = sum(len(run) * float(run.var()) * _time_of(_autocorrelations(run)) for run in runs) / count**2
    between = sum((len(run) * float(run.mean() - pooled.mean())) ** 2 for run in runs) / count**2
    between *= len(runs) / max(1, len(runs) - 1)
    alone = max(distribution_metrics / count, within)
    if between <= alone:
        return distribution_metrics / alone
    freedom = min(count - 1, (len(runs) - 1) / (1 - alone / between))
    wider = float(stdtrit(freedom, TAILS[1]) / stdtrit(count - 1, TAILS[1]))
    return distribution_metrics / (between * wider**2)


def share_interval(share: float, size: float) -> Bounds:
    """Return bounds of a share that was seen among so many independent requests.

    They are Clopper's and Pearson's at an effective size (Korn and Graubard, Survey Methodology 24, 1998): even where
    every request counts, the lower bound is below 1.
    """
    hits, misses = share * size, (1 - share) * size
    low = float(betaincinv(hits, misses + 1, TAILS[0])) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, misses, TAILS[1])) if misses > 0 else 1.0
    return low, high


def requests_for_confidence(target: float) -> int:
    """Return how many independent requests without a miss it takes to confirm a share below 1."""
    return math.ceil(math.log(TAILS[0]) / math.log(target)) if target > 0 else 1


def difference_interval(of_a: float, of_b: float, bounds_a: Bounds, bounds_b: Bounds) -> Bounds:
    """Return bounds of B less A from those of either, which need not lie evenly around it.

    The squares of their distances are added (Newcombe, Statistics in Medicine 17, 1998; Zou and Donner, Statistics in
    Medicine 27, 2008).
    """
    (low_a, high_a), (low_b, high_b) = bounds_a, bounds_b
    difference = of_b - of_a
    low = difference - math.hypot(of_b - low_b, high_a - of_a)
    return low, difference + math.hypot(high_b - of_b, of_a - low_a)
