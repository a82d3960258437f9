"""Whether one run is faster than another, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from safelight.bench.confidence import Statistic, Values, interval, resampled
from safelight.bench.errors import BadResult
from safelight.core.errors import shorten

ENOUGH = 10
"""With fewer answers on a side there is nothing to be said."""

STATISTICS: Mapping[str, Statistic] = {
    "latency_mean": lambda values: float(np.mean(values)),
    "latency_p50": lambda values: float(np.median(values)),
    "latency_p90": lambda values: float(np.quantile(values, 0.9)),
    "latency_p95": lambda values: float(np.quantile(values, 0.95)),
    "latency_p99": lambda values: float(np.quantile(values, 0.99)),
}

SAME = (
    "endpoint",
    "task",
    "dataset",
    "dataset_sha256",
    "request_rate",
    "arrivals",
    "max_concurrency",
    "load_seed",
    "requests",
    "checked",
    "videos_decoded",
)
"""What two runs must have in common for a difference to be the server's."""


class Result(msgspec.Struct, kw_only=True):
    """What is read of a run's file."""

    latencies_s: list[float]
    completed_requests: int
    failed_requests: int
    partial: bool = False


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a figure of B stands to A's.

    Attributes:
        name: of the figure.
        of_a, of_b: its values.
        ratio: of B to A; below 1, B is faster.
        bounds: of the ratio, with 95 % confidence.
        chance: that B is faster, from 0 to 1.
    """

    name: str
    of_a: float
    of_b: float
    ratio: float
    bounds: tuple[float, float]
    chance: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves one answer only."""
        return self.bounds[1] < 1 or self.bounds[0] > 1

    @property
    def verdict(self) -> str:
        """What it says of B."""
        if not self.is_sure:
            return "no difference that is sure"
        return "B is faster" if self.ratio < 1 else "B is slower"


def read_result(path: Path) -> tuple[Result, dict[str, Any]]:
    """Return a run's file, typed and whole; raises BadResult."""
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=Result), msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadResult(
            f"{shorten(str(path))} is no result of safelight bench --output-file with its latencies: {error}."
        ) from None


def compare(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> Sequence[Difference]:
    """Compare the latencies of two runs, in order of arrival, by a bootstrap over blocks.

    Raises:
        BadResult: if there are too few.
    """
    if min(len(a), len(b)) < ENOUGH:
        raise BadResult(f"The runs have {len(a)} and {len(b)} answers; it takes {ENOUGH} of each to compare them.")
    rng = np.random.default_rng(seed)
    return [_difference(name, np.array(a), np.array(b), statistic, rng) for name, statistic in STATISTICS.items()]


def _difference(name: str, a: Values, b: Values, statistic: Statistic, rng: np.random.Generator) -> Difference:
    drawn_a, drawn_b = resampled(a, statistic, rng=rng), resampled(b, statistic, rng=rng)
    count = min(len(drawn_a), len(drawn_b))
    ratios = drawn_b[:count] / drawn_a[:count]
    return Difference(
        name=name,
        of_a=statistic(a),
        of_b=statistic(b),
        ratio=statistic(b) / statistic(a),
        bounds=interval(ratios),
        chance=float(np.mean(ratios < 1) + np.mean(ratios == 1) / 2),
    )


def cautions(a: Mapping[str, Any], b: Mapping[str, Any]) -> Sequence[str]:
    """Return in sentences why two runs can hardly be compared."""
    found = [
        f"The runs differ in {name}: {shorten(a.get(name))} and {shorten(b.get(name))}."
        for name in SAME
        if a.get(name) != b.get(name)
    ]
    for letter, each in (("A", a), ("B", b)):
        if each.get("partial"):
            found.append(f"{letter} was ended early.")
        if each.get("failed_requests"):
            found.append(f"{letter} has {each['failed_requests']:,} failures, whose latencies are not compared.")
    return found
