"""What happened when: counts of requests by periods of one length."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from safelight.core.outcome import Outcome

FIRST_PERIOD_S = 1.0
MOST_PERIODS = 240


class PeriodFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one period.

    Attributes:
        arrived_per_s, finished_per_s: requests per second.
        attainment: of the requests that ended in it, the share that was finished in time; None if none ended.
        quality: mean over those whose level has a known quality.
        levels: finished requests per second, by model.
    """

    start_s: float
    arrived_per_s: float
    finished_per_s: float
    attainment: float | None
    quality: float | None
    levels: dict[str, float]


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
    """

    arrived: int = 0
    finished: int = 0
    ended: int = 0
    in_time: int = 0
    quality: float = 0.0
    rated: int = 0
    levels: Counter[str] = field(default_factory=Counter)

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
        )


class Timeline:
    """At most `MOST_PERIODS` periods; they become twice as long when there would be more."""

    def __init__(self) -> None:
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

    def rows(self) -> tuple[PeriodFigures, ...]:
        """Return one entry for each period from the first one on, also for those in which nothing happened."""
        return tuple(
            self._row(number, self._periods.get(number, Period()))
            for number in range(max(self._periods, default=-1) + 1)
        )

    def _row(self, number: int, each: Period) -> PeriodFigures:
        return PeriodFigures(
            start_s=number * self.period_s,
            arrived_per_s=each.arrived / self.period_s,
            finished_per_s=each.finished / self.period_s,
            attainment=each.in_time / each.ended if each.ended else None,
            quality=each.quality / each.rated if each.rated else None,
            levels={name: count / self.period_s for name, count in sorted(each.levels.items())},
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


def _name(outcome: Outcome) -> str:
    """Return a level's model; levels that differ in steps count together."""
    return outcome.level.model
