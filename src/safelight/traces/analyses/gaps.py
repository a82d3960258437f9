"""The times between arrivals, and the distributions that are fitted to them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import optimize, stats

from safelight.reports.formatting import format_count, format_share
from safelight.reports.result import Result, result_without_data
from safelight.reports.style import INK, in_time, panel

NAME, TITLE = "gaps", "Times between arrivals"

FAMILIES: Mapping[str, Any] = {
    "exponential": stats.expon,
    "gamma": stats.gamma,
    "lognormal": stats.lognorm,
    "Weibull": stats.weibull_min,
}
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
FEWEST = 10
MOST_BINS = 300

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Binned:
    """Gaps counted in bins from 0 to infinity, `edges` apart; each gap is known only to lie in its bin.

    Clocks round: in a trace of whole seconds, a gap of 0 stands for any below half a second. So likelihoods are those
    of bins, with edges between the gaps that occur.
    """

    edges: Floats
    counts: Floats

    @property
    def shares_below(self) -> Floats:
        """The share of the gaps below each edge."""
        return np.asarray(np.cumsum(self.counts)[:-1] / self.counts.sum())


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A distribution of gaps: the most likely one of its family.

    Attributes:
        family: of `FAMILIES`.
        shape: none for the exponential distribution.
        scale_s: in seconds.
        distance: the largest difference between its cumulative shares and those observed (Kolmogorov and Smirnov).
        aic: Akaike's criterion, to be compared among the fits of one trace; less is better.
    """

    family: str
    shape: float | None
    scale_s: float
    distance: float
    aic: float


def gaps(frame: pl.LazyFrame) -> Result:
    """Fit distributions to the times between arrivals, by maximum likelihood.

    The table has a row for what is observed and one for each fit, with quantiles in seconds.
    """
    arrivals = frame.select(pl.col("arrival_s").drop_nulls().sort()).collect()["arrival_s"]
    observed = arrivals.diff().drop_nulls().to_numpy()
    if len(observed) < FEWEST or observed.max() == observed.min():
        told = format_count(len(arrivals), "arrival")
        return result_without_data(
            NAME, TITLE, f"The trace tells {told}, too few or too regular to fit distributions to."
        )
    binned = bin_gaps(observed)
    fits = sorted((fit(family, binned) for family in FAMILIES), key=lambda each: each.distance)
    table = pl.DataFrame([_observed(observed), *map(_row, fits)])
    findings = _findings(observed, fits)
    return Result(name=NAME, title=TITLE, table=table, findings=findings, draw=lambda figure: _draw(figure, table))


def bin_gaps(observed: Floats) -> Binned:
    """Count gaps in at most about `MOST_BINS` bins: fine where there are many, and fine in the tail."""
    values, counts = np.unique(observed, return_counts=True)
    edges, below = (values[:-1] + values[1:]) / 2, np.cumsum(counts)[:-1]
    if len(edges) > MOST_BINS:
        evenly = np.searchsorted(below, np.linspace(1, below[-1], MOST_BINS * 2 // 3))
        tail = np.searchsorted(edges, np.geomspace(edges[0], edges[-1], MOST_BINS // 3))
        kept = np.unique(np.concatenate([evenly, tail]))
        edges, below = edges[kept], below[kept]
    return Binned(edges=edges, counts=np.diff(below, prepend=0, append=len(observed)).astype(float))


def fit(family: str, binned: Binned) -> Fit:
    """Return the most likely distribution of a family."""
    distribution = FAMILIES[family]
    shapes = distribution.numargs
    middle_s = binned.edges[np.searchsorted(binned.shares_below, 0.5).clip(max=len(binned.edges) - 1)]

    def cost(logs: Floats) -> float:
        *shape, scale = np.exp(np.clip(logs, -50, 50))
        inside = np.diff(distribution.cdf(binned.edges, *shape, scale=scale), prepend=0, append=1)
        return -float(binned.counts @ np.log(np.maximum(inside, 1e-300)))

    start = np.array([*[0.0] * shapes, np.log(middle_s)])
    around = {"initial_simplex": np.vstack([start, start + np.eye(len(start))])}
    best = optimize.minimize(cost, start, method="Nelder-Mead", options=around)
    *shape, scale = np.exp(best.x)
    distance = np.abs(distribution.cdf(binned.edges, *shape, scale=scale) - binned.shares_below).max()
    return Fit(
        family=family,
        shape=float(shape[0]) if shape else None,
        scale_s=float(scale),
        distance=float(distance),
        aic=2 * (shapes + 1) + 2 * float(best.fun),
    )


def _observed(observed: Floats) -> dict[str, float | str | None]:
    cv = float(observed.std() / observed.mean())
    facts = {"gaps": "observed", "shape": None, "scale_s": None, "distance": None, "aic": None}
    return {**facts, "mean_s": float(observed.mean()), "cv": cv, **_quantiles(np.quantile(observed, QUANTILES))}


def _row(fit: Fit) -> dict[str, float | str | None]:
    given = FAMILIES[fit.family](*[fit.shape] if fit.shape is not None else [], scale=fit.scale_s)
    facts = {"gaps": fit.family, "shape": fit.shape, "scale_s": fit.scale_s, "distance": fit.distance, "aic": fit.aic}
    moments = {"mean_s": float(given.mean()), "cv": float(given.std() / given.mean())}
    return {**facts, **moments, **_quantiles(given.ppf(QUANTILES))}


def _quantiles(values: Iterable[float]) -> dict[str, float]:
    return {f"p{100 * at:g}_s": float(value) for at, value in zip(QUANTILES, values, strict=True)}


def _findings(observed: Floats, fits: list[Fit]) -> tuple[str, ...]:
    best, worst = fits[0], fits[-1]
    shape = "" if best.shape is None else f" with shape {best.shape:.3g}"
    nearest = (
        f"Of four families, {_named(best)}{shape} is nearest: its cumulative shares are off by at most "
        f"{format_share(best.distance)}, those of {_named(worst)} by {format_share(worst.distance)}."
    )
    if not (together := float((observed == 0).mean())):
        return (nearest,)
    return (
        nearest,
        f"{format_share(together)} of requests arrive with the one before, as far as the trace's clock tells.",
    )


def _named(fit: Fit) -> str:
    return f"{'an' if fit.family == 'exponential' else 'a'} {fit.family} distribution"


def _draw(figure: Figure, table: pl.DataFrame) -> None:
    axes = panel(figure, x="time between arrivals", y="share of gaps that are longer")
    longer = [1 - at for at in QUANTILES]
    for name, *values in table.select("gaps", *_quantiles(QUANTILES)).rows():
        if name == "observed":
            seen = [value for value in values if value > 0]
            axes.loglog(values, longer, "o", color=INK, markersize=5, label=name, zorder=3)
        else:
            axes.loglog(values, longer, label=name)
    axes.set_xlim(seen[0] / 10, seen[-1] * 4)
    in_time(axes.xaxis)
    axes.set_yticks([1, 0.1, 0.01, 0.001], ["100 %", "10 %", "1 %", "0.1 %"])
    axes.legend(frameon=False, labelcolor="linecolor", loc="lower left")
