"""One load at several levels: each is run after the other, on a server that was warmed up once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from safelight.bench.client.http_client import HttpClient
from safelight.bench.load.runner import (
    Notify,
    OnProgress,
    Run,
    RunConfig,
    StopSignal,
    run_turns,
    warm_up,
    without_repeats,
)
from safelight.bench.stats.levels import Capacity, LevelResult, capacity_of
from safelight.bench.stats.metrics import Metrics, compute_metrics

NextLevel = Callable[[Sequence[LevelResult]], float | None]
"""Says which level is to be measured after some; None ends the series."""


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """Runs at several levels.

    Attributes:
        level: what differs, `request_rate` or `max_concurrency`.
        points: whole runs, in the order in which they were made.
        target: attainment that is wanted.
        is_partial: whether it was interrupted.
    """

    level: str
    points: Sequence[LevelResult]
    target: float
    is_partial: bool

    @property
    def capacity_of(self) -> Capacity:
        """Up to which level the target is attained."""
        return capacity_of(self.points, target=self.target)

    @property
    def facts(self) -> dict[str, Any]:
        """All of it for a file."""
        return {
            "level": self.level,
            "target": self.target,
            **asdict(self.capacity_of),
            "partial": self.is_partial,
            "points": [
                {self.level: point.level, "verdict": point.verdict(self.target), **point.metrics}
                for point in self.points
            ],
        }


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
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
    config_of: Callable[[float, int], RunConfig]
    facts_of: Callable[[float], Metrics]
    target: float
    repeats: int = 1
    until_sure: bool = False

    def point_of(self, value: float, runs: Sequence[Run]) -> LevelResult:
        """Return what was measured at a level."""
        return LevelResult(level=value, metrics=self.facts_of(value) | compute_metrics(*runs))

    def is_enough(self, value: float, runs: Sequence[Run]) -> bool:
        """Say whether more turns at a level can be left out."""
        return self.until_sure and not self.point_of(value, runs).is_open(self.target)


async def run_sweep(
    levels: SweepConfig,
    next_level: NextLevel,
    *,
    stop: StopSignal,
    shown: Callable[[float], AbstractContextManager[OnProgress]],
    notify: Notify,
    tell: Callable[[LevelResult], None],
) -> SweepResult:
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
    points, notify, value = list[LevelResult](), without_repeats(notify), next_level([])
    assert value is not None
    first = levels.config_of(value, 0)
    async with HttpClient(first.server) as client:
        estimate = await warm_up(first, client, stop=stop, notify=notify)
        while value is not None and not stop.was_called:
            with shown(value) as on_progress:
                runs = await run_turns(
                    partial(levels.config_of, value),
                    client,
                    estimate,
                    repeats=levels.repeats,
                    stop=stop,
                    on_progress=on_progress,
                    notify=notify,
                    is_enough=partial(levels.is_enough, value),
                )
            if whole := [run for run in runs if not run.is_partial]:
                points.append(levels.point_of(value, whole))
                tell(points[-1])
            value = next_level(points)
    return SweepResult(level=levels.level, points=points, target=levels.target, is_partial=stop.was_called)


def fixed_levels(levels: Sequence[float]) -> NextLevel:
    """Return what chooses one level after the other."""
    return lambda points: levels[len(points)] if len(points) < len(levels) else None
