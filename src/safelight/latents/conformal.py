"""Thresholds with a promise: split conformal prediction (Vovk et al., 2005; Angelopoulos et al., arXiv 2208.02814)."""

import math
from collections.abc import Sequence


def least_bad(steps: Sequence[int], predicted: Sequence[float], losses: Sequence[float], epsilon: float) -> float:
    """Return the least threshold from which on a pair has been served by a level that loses more than `epsilon`.

    Of the levels with a prediction below a threshold the one of the fewest steps is run. As the threshold rises, other
    levels take over; this is the prediction of the first one that is bad, and infinity if none is.

    Args:
        steps: that each level runs.
        predicted: loss of each level.
        losses: that were measured.
        epsilon: the loss that is acceptable.
    """
    fewest = math.inf
    for own, run, loss in sorted(zip(predicted, steps, losses, strict=True)):
        if run < fewest:
            if loss > epsilon:
                return own
            fewest = run
    return math.inf


def threshold(bad_from: Sequence[float], delta: float) -> float:
    """Return a threshold below which a pair is served badly with a probability of at most `delta`.

    That holds for a new pair that is exchangeable with those of `bad_from`, over the draw of all of them.

    Args:
        bad_from: `least_bad` of each calibration pair, none of which the predictor learned of.
        delta: above 0 and below 1.
    """
    rank = math.floor(delta * (len(bad_from) + 1))
    return 0.0 if rank < 1 else sorted(bad_from)[rank - 1]
