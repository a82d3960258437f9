"""How sure figures are: a bootstrap for what is measured in seconds, effective sizes for shares.

Latencies of neighbours are alike, since they wait in the same queue; to take them for independent witnesses would make
every figure look surer than it is. Runs of the same load differ too, by more than their requests tell.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

Values = npt.NDArray[np.float64]
Runs = Sequence[Values]
"""For each run one number, or one row of numbers, for each request in the order of time; none is empty."""

Statistic = Callable[[Values], npt.ArrayLike]
"""Makes one figure, or several, of what was measured."""

Bounds = tuple[float, float]

DRAWS = 400
MOST_VALUES_DRAWN = 20_000_000
LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
SPAN = 5.0
"""Autocorrelations count up to so many times the autocorrelation time, beyond which they are noise."""


def resampled(runs: Runs, statistic: Statistic, *, rng: np.random.Generator, draws: int = DRAWS) -> Values:
    """Return a statistic of each of `draws` loads that are put together from what was measured.

    With several runs it is a bootstrap in two stages (Davison and Hinkley, Bootstrap Methods and their Application,
    1997, section 3.8): as many runs are drawn as there are, and of each blocks of neighbours. With one run it is the
    circular block bootstrap.
    """
    count = sum(map(len, runs))
    draws = max(50, min(draws, MOST_VALUES_DRAWN // count))
    lengths = [_block_length(run) for run in runs]
    return np.array([statistic(_drawn(runs, lengths, rng)) for _ in range(draws)])


def _drawn(runs: Runs, lengths: Sequence[int], rng: np.random.Generator) -> Values:
    picked = rng.integers(0, len(runs), size=len(runs)) if len(runs) > 1 else [0]
    return np.concatenate([_from_blocks(runs[each], lengths[each], rng) for each in picked])


def _from_blocks(values: Values, length: int, rng: np.random.Generator) -> Values:
    count = len(values)
    starts = rng.integers(0, count, size=-(-count // length))
    drawn: Values = values[(starts[:, None] + np.arange(length)).ravel()[:count] % count]
    return drawn


def _block_length(values: Values) -> int:
    """Return how long blocks should be, by the first column.

    Politis and White, Econometric Reviews 23 (2004), for the circular bootstrap, as corrected by Patton, Politis and
    White (2009), with the window of `_autocorrelations`.
    """
    count = len(values)
    alike = _autocorrelations(values if values.ndim == 1 else values[:, 0])
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
    """Return how many neighbours tell as much as one independent request."""
    return max(1.0, 2 * float(alike.sum()) - 1)


def interval(drawn: Values) -> Bounds:
    """Return the bounds that hold `LEVEL` of what was drawn."""
    low, high = np.quantile(drawn, TAILS)
    return float(low), float(high)


def effective_size(runs: Runs) -> float:
    """Return how many independent requests would tell a share as well as these do.

    It is Kish's (Survey Sampling, 1965): the variance of one value over that of the mean, which is what neighbours
    within runs show, or what the means of runs show, whichever is more.

    Args:
        runs: 1.0 for each request that counts, and 0.0 for each other.
    """
    pooled = np.concatenate(runs)
    count, spread = len(pooled), float(pooled.var())
    if spread == 0:
        return float(count)
    within = sum(len(run) * float(run.var()) * _time_of(_autocorrelations(run)) for run in runs) / count**2
    between = sum((len(run) * float(run.mean() - pooled.mean())) ** 2 for run in runs) / count**2
    between *= len(runs) / max(1, len(runs) - 1)
    return spread / max(spread / count, within, between)


def share_interval(share: float, size: float) -> Bounds:
    """Return bounds of a share that was seen among so many independent requests.

    They are Clopper's and Pearson's at an effective size (Korn and Graubard, Survey Methodology 24, 1998): even where
    every request counts, the lower bound is below 1.
    """
    hits, misses = share * size, (1 - share) * size
    low = float(betaincinv(hits, misses + 1, TAILS[0])) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, misses, TAILS[1])) if misses > 0 else 1.0
    return low, high


def sure_size(target: float) -> int:
    """Return how many independent requests, all of which count, it takes to be sure of a share below 1."""
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
