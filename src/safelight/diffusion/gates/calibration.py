"""From a network's logits to probabilities, and how good they are."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

BINS: Final = 10
LEAST_PENALTY: Final = 1e-3
"""Keeps the slope finite where the logits separate all pictures."""

Numbers = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Line:
    """Log odds as a line over logits."""

    slope: float = 1.0
    intercept: float = 0.0

    def probabilities(self, logits: Numbers) -> Numbers:
        return np.asarray(expit(self.slope * logits + self.intercept))


def calibrated(logits: Numbers, labels: Labels) -> Line:
    """Return the line of least cross-entropy (Platt, 1999)."""

    def loss(line: Numbers) -> float:
        scores = line[0] * logits + line[1]
        return float(np.mean(np.logaddexp(0, scores) - labels * scores) + LEAST_PENALTY * line[0] ** 2 / len(labels))

    slope, intercept = minimize(loss, np.array([1.0, 0.0])).x
    return Line(slope=max(0.0, float(slope)), intercept=float(intercept))


def auc(scores: Numbers, labels: Labels) -> float:
    """Return how likely a good picture scores higher than one that is not; 0.5 if all are alike."""
    good = int(labels.sum())
    bad = len(labels) - good
    if not good or not bad:
        return 0.5
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - good * (good + 1) / 2) / (good * bad))


def calibration_error(probabilities: Numbers, labels: Labels) -> float:
    """Return the mean distance of probability and share of good pictures, over bins of equal width."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = (
        abs(probabilities[bins == number].mean() - labels[bins == number].mean()) * np.mean(bins == number)
        for number in np.unique(bins)
    )
    return float(sum(gaps))


def deferral_curve(probabilities: Numbers, *, points: int = 41) -> tuple[tuple[float, float], ...]:
    """Return thresholds and the share of pictures that score below each: quantiles, from 0 to 1."""
    shares = np.linspace(0, 1, points)
    curve: list[tuple[float, float]] = [(0.0, 0.0)]
    for threshold in np.quantile(probabilities, shares):
        share = float(np.mean(probabilities < threshold))
        if threshold > curve[-1][0] + 1e-6 and share >= curve[-1][1]:
            curve.append((round(float(threshold), 6), round(share, 6)))
    if curve[-1][0] < 1:
        curve.append((1.0, 1.0))
    return tuple(curve)


def best_share(probabilities: Numbers, heavy: float) -> float:
    """Return the share of pictures that the heavy model, good enough with probability `heavy`, makes better."""
    return float(np.mean(probabilities < heavy))
