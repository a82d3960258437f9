"""Runs one load at several levels, one after the other, after a single warm-up."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from safelight.bench.client.http_client import HttpClient
from safelight.bench.load.runner import Notify, OnProgress, StopSignal, run_turns, warm_up, without_repeats
from safelight.bench.run import Run, RunConfig
from safelight.bench.stats.levels import Capacity, LevelResult, capacity_of
from safelight.bench.stats.metrics import Metrics, compute_metrics

NextLevel = Callable[[Sequence[LevelResult]], float | None]
"""Returns the level to measure after these results; None ends the sweep."""


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """The results at several levels.

    Attributes:
        level: what differs, `request_rate` or `max_concurrency`.
        points: results of complete runs, in the order in which they were measured.
        target: the wanted attainment.
        is_partial: whether the sweep ended early.
    """

    level: str
    points: Sequence[LevelResult]
    target: float
    is_partial: bool

    @property
    def capacity(self) -> Capacity:
        """Up to which level the target is attained."""
        return capacity_of(self.points, target=self.target)

    @property
    def facts(self) -> dict[str, Any]:
        """All results, for a JSON file."""
        return {
            "level": self.level,
            "target": self.target,
            **asdict(self.capacity),
            "partial": self.is_partial,
            "points": [
                {self.level: point.level, "verdict": point.verdict(self.target), **point.metrics}
                for point in self.points
            ],
        }


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """What a sweep runs.

    Attributes:
        level: what differs, `request_rate` or `max_concurrency`.
        config_of: returns the configuration at a level in a turn, counted from 0, always for one server and the same
            shapes.
        facts_of: returns facts that are stored with the metrics of a level.
        target: the wanted attainment.
        repeats: the largest number of turns at each level.
        until_sure: whether turns are skipped once the confidence interval decides the target.
    """

    level: str
    config_of: Callable[[float, int], RunConfig]
    facts_of: Callable[[float], Metrics]
    target: float
    repeats: int = 1
    until_sure: bool = False

    def result_at(self, value: float, runs: Sequence[Run]) -> LevelResult:
        """Return the result at a level."""
        return LevelResult(level=value, metrics=self.facts_of(value) | compute_metrics(*runs))

    def is_enough(self, value: float, runs: Sequence[Run]) -> bool:
        """Return whether the remaining turns at a level can be skipped."""
        return self.until_sure and not self.result_at(value, runs).is_open(self.target)


async def run_sweep(
    config: SweepConfig,
    next_level: NextLevel,
    *,
    stop: StopSignal,
    progress_at: Callable[[float], AbstractContextManager[OnProgress]],
    notify: Notify,
    on_result: Callable[[LevelResult], None],
) -> SweepResult:
    """Run a load at one level after the other, with the same deadlines.

    Args:
        config: what to run at each level.
        next_level: chooses the levels.
        stop: called to end early; complete runs are kept.
        progress_at: returns a context in which the progress at a level is shown.
        notify: receives sentences for readers of the metrics, each once.
        on_result: receives the result of each level.

    Raises:
        ServerUnusable: if no warm-up request succeeded.
        BadLoad: if deadlines cannot be estimated.
    """
    points, notify, value = list[LevelResult](), without_repeats(notify), next_level([])
    assert value is not None
    first = config.config_of(value, 0)
    async with HttpClient(first.server) as client:
        estimate = await warm_up(first, client, stop=stop, notify=notify)
        while value is not None and not stop.was_called:
            with progress_at(value) as on_progress:
                runs = await run_turns(
                    partial(config.config_of, value),
                    client,
                    estimate,
                    repeats=config.repeats,
                    stop=stop,
                    on_progress=on_progress,
                    notify=notify,
                    is_enough=partial(config.is_enough, value),
                )
            if complete := [run for run in runs if not run.is_partial]:
                points.append(config.result_at(value, complete))
                on_result(points[-1])
            value = next_level(points)
    return SweepResult(level=config.level, points=points, target=config.target, is_partial=stop.was_called)


def fixed_levels(levels: Sequence[float]) -> NextLevel:
    """Return a function that chooses these levels in order."""
    return lambda points: levels[len(points)] if len(points) < len(levels) else None
