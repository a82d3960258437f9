"""Results at several rates or concurrencies, and the search for the highest rate that attains a target."""

from collections.abc import Sequence
from dataclasses import dataclass

from safelight.bench.stats.metrics import Metrics
from safelight.bench.stats.resampling import Bounds, requests_for_confidence

MOST_DOUBLINGS = 20
IDLE_REQUESTS = 0.1
"""The mean number of requests in flight below which requests do not wait for each other."""

SINCE_DUE = "slo_attainment_rate_since_due"


@dataclass(frozen=True, kw_only=True)
class LevelResult:
    """The metrics at one rate, or at one concurrency."""

    level: float
    metrics: Metrics

    @property
    def attainment(self) -> float | None:
        """Share of requests that met their deadlines, counted from their due times; None without deadlines."""
        return self.metrics.get(self._name)

    @property
    def bounds(self) -> Bounds | None:
        """The 95 % confidence interval of the attainment; None without deadlines."""
        bounds = self.metrics.get("confidence", {}).get(self._name)
        return None if bounds is None else (bounds[0], bounds[1])

    @property
    def size(self) -> float:
        """The effective sample size of the attainment."""
        return float(self.metrics.get("effective_requests", {}).get(self._name, 0.0))

    @property
    def _name(self) -> str:
        return SINCE_DUE if SINCE_DUE in self.metrics else "slo_attainment_rate"

    @property
    def was_offered(self) -> bool:
        """Whether the client kept up, so that the server really got this rate."""
        send_lag_s, p50_s = self.metrics.get("send_lag_p99") or 0.0, self.metrics.get("latency_p50") or 0.0
        return send_lag_s <= max(0.05, 0.1 * p50_s)

    @property
    def is_idle(self) -> bool:
        """Whether requests hardly overlapped, so that a lower rate would not help."""
        p99_s = self.metrics.get("latency_p99")
        return p99_s is not None and p99_s * self.level < IDLE_REQUESTS

    def holds(self, target: float) -> bool:
        """Return whether the estimate attains the target."""
        return self.was_offered and self.attainment is not None and self.attainment >= target

    def surely_holds(self, target: float) -> bool:
        """Return whether the whole interval attains the target."""
        return self.was_offered and self.bounds is not None and self.bounds[0] >= target

    def surely_misses(self, target: float) -> bool:
        """Return whether the whole interval misses the target."""
        return self.was_offered and self.bounds is not None and self.bounds[1] < target

    def is_open(self, target: float) -> bool:
        """Return whether the interval contains the target, so that more runs may decide."""
        return self.was_offered and not self.surely_holds(target) and not self.surely_misses(target)

    def verdict(self, target: float) -> str:
        """Return the finding about the target, in words."""
        if self.attainment is None:
            return ""
        if not self.was_offered:
            return "not offered"
        word = "held" if self.holds(target) else "missed"
        return f"{word}, unsure" if self.is_open(target) else word


@dataclass(frozen=True, kw_only=True)
class CapacitySearch:
    """Searches the highest rate at which the share `target` of requests meets its deadlines.

    The rate is doubled until it no longer holds, or halved until it holds or hardly any requests overlap, and the gap
    is then halved until it is narrower than `precision` of the rate.
    """

    target: float
    start: float = 1.0
    precision: float = 0.1

    def __call__(self, points: Sequence[LevelResult]) -> float | None:
        """Return the rate to measure after these results; None ends the search."""
        low = max((point.level for point in points if point.holds(self.target)), default=None)
        high = min((point.level for point in points if not point.holds(self.target)), default=None)
        if low is not None and high is not None:
            return (low + high) / 2 if high - low > self.precision * low else None
        if len(points) == MOST_DOUBLINGS:
            return None
        if low is not None:
            return 2 * low
        if high is None:
            return self.start
        return None if points[-1].is_idle else high / 2


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Up to which level a target is attained; None if no level shows that.

    Attributes:
        held: by the best estimate: the highest level up to which every one attains it.
        surely_held: the highest level below `surely_missed` whose whole interval attains it.
        surely_missed: the lowest level whose whole interval misses it.
    """

    held: float | None
    surely_held: float | None
    surely_missed: float | None


def capacity_of(points: Sequence[LevelResult], *, target: float) -> Capacity:
    """Return up to which level these results attain a target."""
    held = None
    ordered = sorted(points, key=lambda point: point.level)
    for point in ordered:
        if not point.holds(target):
            break
        held = point.level
    missed = next((point.level for point in ordered if point.surely_misses(target)), None)
    sure = [p.level for p in ordered if p.surely_holds(target) and (missed is None or p.level < missed)]
    return Capacity(held=held, surely_held=max(sure, default=None), surely_missed=missed)


def sample_size_note(points: Sequence[LevelResult], *, target: float) -> str:
    """Return a sentence on how many requests it takes to confirm a target; "" if there were enough."""
    if not 0 < target < 1:
        return "" if target == 0 else "No number of requests makes an attainment of 1 sure."
    needed, most = requests_for_confidence(target), max((point.size for point in points), default=0.0)
    if most >= needed:
        return ""
    return (
        f"To hold {target:g} for sure takes {needed:,} independent requests at one level without a miss; there were "
        f"no more than {most:,.0f}. Ask for more with --num-prompts or --repeats."
    )
