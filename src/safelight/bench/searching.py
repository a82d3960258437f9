"""Attainment against rate: runs at several rates, and the search for the highest rate that holds."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from safelight.bench.figures import Figures

MOST_DOUBLINGS = 20

Measure = Callable[[float], Awaitable[Figures]]
"""Runs a load at a rate."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A run at one rate, or at one number of requests in flight."""

    level: float
    figures: Figures

    @property
    def attainment(self) -> float | None:
        """Share of requests that met their deadlines; None without deadlines."""
        return self.figures.get("slo_attainment_rate")

    @property
    def was_offered(self) -> bool:
        """Whether the client kept up, so that the rate is what it says."""
        return (self.figures.get("send_lag_p99") or 0.0) <= max(0.05, 0.1 * (self.figures["latency_p50"] or 0.0))


@dataclass(kw_only=True)
class Search:
    """Looks for the highest rate at which `target` of all requests meet their deadlines.

    The rate is doubled until it no longer holds, or halved until it holds, and the gap is then halved until it is
    narrower than `precision` of the rate.
    """

    target: float
    start: float = 1.0
    precision: float = 0.1
    points: list[Point] = field(default_factory=list)

    async def run(self, measure: Measure) -> float | None:
        """Return the highest rate that was seen to hold; None if none was."""
        low, high = await self._bracket(measure)
        while low is not None and high is not None and high - low > self.precision * low:
            middle = (low + high) / 2
            low, high = (middle, high) if await self._holds(middle, measure) else (low, middle)
        return low

    async def _bracket(self, measure: Measure) -> tuple[float | None, float | None]:
        rate, low, high = self.start, None, None
        for _ in range(MOST_DOUBLINGS):
            if await self._holds(rate, measure):
                low, rate = rate, 2 * rate
            else:
                high, rate = rate, rate / 2
            if low is not None and high is not None:
                break
        return low, high

    async def _holds(self, rate: float, measure: Measure) -> bool:
        point = Point(level=rate, figures=await measure(rate))
        self.points.append(point)
        return point.attainment is not None and point.attainment >= self.target and point.was_offered


def knee(points: Sequence[Point], *, target: float) -> float | None:
    """Return the highest level up to which every one attains the target; None if the lowest one does not."""
    held = None
    for point in sorted(points, key=lambda point: point.level):
        if point.attainment is None or point.attainment < target:
            break
        held = point.level
    return held
