"""What happened when: counts of requests by periods of one length."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from safelight.core.outcome import Outcome

QualityOfMix = Callable[[Mapping[str, int]], float | None]
"""The quality of a mix of pictures, by numbers of pictures of each model, where it is known."""

FIRST_PERIOD_S = 1.0
MOST_PERIODS = 120


class PeriodFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one period.

    Attributes:
        arrived_per_s, finished_per_s: requests per second.
        attainment: of the requests that ended in it, the share that was finished in time; None if none ended.
        quality: mean over those whose level has a known quality, or that of the mix.
        levels: finished requests per second, by model.
        capacity_per_s: requests per second that the workers that were ready could finish if they computed all the time,
            at what a request of this run took on average; None if none was finished.
        busy_workers: how many computed, on average.
    """

    start_s: float
    arrived_per_s: float
    finished_per_s: float
    attainment: float | None
    quality: float | None
    levels: dict[str, float]
    capacity_per_s: float | None
    busy_workers: float


@dataclass(slots=True)
class Period:
    """Requests that arrived or ended in one period.

    Attributes:
        arrived: in it.
        finished: in it.
        ended: in it, whatever the way.
        in_time: of those that ended.
        quality: sum of the qualities of the finished ones that have one.
        rated: how many these are.
        levels: finished ones by level.
        busy_s: seconds of computing of all workers.
        down_s: seconds in which workers were not ready.
    """

    arrived: int = 0
    finished: int = 0
    ended: int = 0
    in_time: int = 0
    quality: float = 0.0
    rated: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    busy_s: float = 0.0
    down_s: float = 0.0

    def merged(self, other: "Period") -> "Period":
        """Return the requests of both."""
        return Period(
            arrived=self.arrived + other.arrived,
            finished=self.finished + other.finished,
            ended=self.ended + other.ended,
            in_time=self.in_time + other.in_time,
            quality=self.quality + other.quality,
            rated=self.rated + other.rated,
            levels=self.levels + other.levels,
            busy_s=self.busy_s + other.busy_s,
            down_s=self.down_s + other.down_s,
        )


class Timeline:
    """At most `MOST_PERIODS` periods; they become twice as long when there would be more."""

    def __init__(self, *, workers: int = 1) -> None:
        """Begin with nothing, for a fleet of so many workers."""
        self._workers = workers
        self.period_s = FIRST_PERIOD_S
        self.ended = 0
        self._periods: dict[int, Period] = {}

    def add(self, outcome: Outcome, quality: float | None) -> None:
        """Count one request that has ended."""
        self.ended += 1
        arrived_s = outcome.request.arrived_s
        end = self._at(arrived_s + outcome.total_s)
        end.ended += 1
        end.in_time += outcome.met_deadline
        if outcome.status == "finished":
            end.finished += 1
            end.levels[_name(outcome)] += 1
            if quality is not None:
                end.quality += quality
                end.rated += 1
        self._at(arrived_s).arrived += 1

    def add_span(self, start_s: float, end_s: float, *, is_down: bool) -> None:
        """Count what a worker did, or that it was not there, from one moment to another one."""
        while start_s < end_s:
            period = self._at(start_s)
            until_s = min(end_s, (int(start_s / self.period_s) + 1) * self.period_s)
            if is_down:
                period.down_s += until_s - start_s
            else:
                period.busy_s += until_s - start_s
            start_s = until_s

    def rows(self, quality_of_mix: QualityOfMix | None = None) -> tuple[PeriodFigures, ...]:
        """Return one entry for each period from the first one on, also for those in which nothing happened."""
        finished = sum(each.finished for each in self._periods.values())
        request_s = sum(each.busy_s for each in self._periods.values()) / finished if finished else 0.0
        return tuple(
            self._row(number, self._periods.get(number, Period()), request_s, quality_of_mix)
            for number in range(max(self._periods, default=-1) + 1)
        )

    def _row(self, number: int, each: Period, request_s: float, quality_of_mix: QualityOfMix | None) -> PeriodFigures:
        ready_workers = self._workers - each.down_s / self.period_s
        return PeriodFigures(
            start_s=number * self.period_s,
            arrived_per_s=each.arrived / self.period_s,
            finished_per_s=each.finished / self.period_s,
            attainment=each.in_time / each.ended if each.ended else None,
            quality=_quality(each) if quality_of_mix is None else quality_of_mix(each.levels),
            levels={name: count / self.period_s for name, count in sorted(each.levels.items())},
            capacity_per_s=ready_workers / request_s if request_s > 0 else None,
            busy_workers=each.busy_s / self.period_s,
        )

    def _at(self, time_s: float) -> Period:
        while int(time_s / self.period_s) >= MOST_PERIODS:
            self._double()
        return self._periods.setdefault(int(time_s / self.period_s), Period())

    def _double(self) -> None:
        self.period_s *= 2
        longer: dict[int, Period] = {}
        for number, period in self._periods.items():
            other = longer.get(number // 2)
            longer[number // 2] = period if other is None else other.merged(period)
        self._periods = longer


def _quality(period: Period) -> float | None:
    return period.quality / period.rated if period.rated else None


def _name(outcome: Outcome) -> str:
    """Return a level's model; levels that differ in steps count together."""
    return outcome.level.model
