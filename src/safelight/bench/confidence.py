"""How sure figures are: a bootstrap over blocks of neighbouring requests (Künsch, Annals of Statistics 1989).

Latencies of neighbours are alike, since they wait in the same queue; to draw them one by one would make every figure
look surer than it is.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Statistic = Callable[[Values], float]

DRAWS = 400
MOST_VALUES_DRAWN = 20_000_000
LEVEL = 0.95


def resampled(values: Values, statistic: Statistic, *, rng: np.random.Generator, draws: int = DRAWS) -> Values:
    """Return a statistic of `draws` series that are put together from blocks of `values`, which must not be empty."""
    count = len(values)
    draws = max(50, min(draws, MOST_VALUES_DRAWN // count))
    length = max(1, round(count ** (1 / 3)))
    starts = rng.integers(0, count, size=(draws, -(-count // length)))
    steps = np.arange(length)
    return np.array([statistic(values[(row[:, None] + steps).ravel()[:count] % count]) for row in starts])


def interval(drawn: Values) -> tuple[float, float]:
    """Return the bounds that hold `LEVEL` of what was drawn."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
