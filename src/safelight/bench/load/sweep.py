"""One load at several levels: each is run after the other, on a server that was warmed up once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from safelight.bench.client.http_client import Line
from safelight.bench.load.runner import Plan, Run, Say, Stop, Watch, in_turns, once, warmed_up
from safelight.bench.stats.levels import Knee, Point, knee
from safelight.bench.stats.metrics import Figures, figures_of

NextLevel = Callable[[Sequence[Point]], float | None]
"""Says which level is to be measured after some; None ends the series."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Runs at several levels.

    Attributes:
        level: what differs, `request_rate` or `max_concurrency`.
        points: whole runs, in the order in which they were made.
        target: attainment that is wanted.
        is_partial: whether it was interrupted.
    """

    level: str
    points: Sequence[Point]
    target: float
    is_partial: bool

    @property
    def knee(self) -> Knee:
        """Up to which level the target is attained."""
        return knee(self.points, target=self.target)

    @property
    def facts(self) -> dict[str, Any]:
        """All of it for a file."""
        return {
            "level": self.level,
            "target": self.target,
            **asdict(self.knee),
            "partial": self.is_partial,
            "points": [
                {self.level: point.level, "verdict": point.verdict(self.target), **point.figures}
                for point in self.points
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Levels:
    """What is run at each level.

    Attributes:
        level: what differs, `request_rate` or `max_concurrency`.
        plan_of: gives what to do at a level in a turn, counted from 0: for one server, in the same shapes.
        facts_of: gives what is to stand beside the figures of a level.
        target: attainment that is wanted.
        repeats: turns at each level.
        until_sure: leave turns out once it is sure whether the target is attained.
    """

    level: str
    plan_of: Callable[[float, int], Plan]
    facts_of: Callable[[float], Figures]
    target: float
    repeats: int = 1
    until_sure: bool = False

    def point_of(self, value: float, runs: Sequence[Run]) -> Point:
        """Return what was measured at a level."""
        return Point(level=value, figures=self.facts_of(value) | figures_of(*runs))

    def is_enough(self, value: float, runs: Sequence[Run]) -> bool:
        """Say whether more turns at a level can be left out."""
        return self.until_sure and not self.point_of(value, runs).is_open(self.target)


async def measured(
    levels: Levels,
    next_level: NextLevel,
    *,
    stop: Stop,
    shown: Callable[[float], AbstractContextManager[Watch]],
    say: Say,
    tell: Callable[[Point], None],
) -> Series:
    """Run a load at one level after the other, with the same deadlines.

    Args:
        levels: what is run at each.
        next_level: chooses them.
        stop: to be called when it is to end early; runs that were whole by then are kept.
        shown: shows how a level's load goes.
        say: is told, in sentences, what a reader of the figures should know, each once.
        tell: is given each level's figures.

    Raises:
        ServerUnusable: if not one warm-up was served.
        BadLoad: if deadlines cannot be estimated.
    """
    points, say, value = list[Point](), once(say), next_level([])
    assert value is not None
    first = levels.plan_of(value, 0)
    async with Line(first.server) as line:
        estimate = await warmed_up(first, line, stop=stop, say=say)
        while value is not None and not stop.was_called:
            with shown(value) as watch:
                runs = await in_turns(
                    partial(levels.plan_of, value),
                    line,
                    estimate,
                    repeats=levels.repeats,
                    stop=stop,
                    watch=watch,
                    say=say,
                    is_enough=partial(levels.is_enough, value),
                )
            if whole := [run for run in runs if not run.is_partial]:
                points.append(levels.point_of(value, whole))
                tell(points[-1])
            value = next_level(points)
    return Series(level=levels.level, points=points, target=levels.target, is_partial=stop.was_called)


def each_of(levels: Sequence[float]) -> NextLevel:
    """Return what chooses one level after the other."""
    return lambda points: levels[len(points)] if len(points) < len(levels) else None
