"""Reads the result file of a load."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from safelight.bench.errors import BadResult
from safelight.bench.stats.resampling import Bounds, Runs
from safelight.core.errors import shorten


class IntervalEstimate(NamedTuple):
    """A metric and its 95 % confidence interval."""

    value: float
    bounds: Bounds


Count = Annotated[int, msgspec.Meta(ge=0)]
Latency = Annotated[float, msgspec.Meta(ge=1e-6, le=1e9)]
Number = Annotated[float, msgspec.Meta(ge=0, le=1e60)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class RunPart(msgspec.Struct, kw_only=True):
    """The part about one run of several."""

    completed_requests: Count


class LoadFacts(msgspec.Struct, kw_only=True):
    """Facts that two loads must share for a difference to be caused by the server."""

    endpoint: Any = None
    task: Any = None
    bot_task: Any = None
    dataset: Any = None
    dataset_sha256: Any = None
    requests: Any = None
    sizes: Any = None
    steps: Any = None
    adapters: Any = None
    load_sha256: Any = None
    extra_body: Any = None
    options: Any = None
    request_rate: Any = None
    arrivals: Any = None
    speed: Any = None
    burstiness: Any = None
    max_concurrency: Any = None
    load_seed: Any = None
    retries: Any = None
    warmup_requests: Any = None
    checked: Any = None
    videos_decoded: Any = None


class BenchResult(LoadFacts, kw_only=True):
    """The fields that are read from a result file; latencies are those of one run after the other."""

    latencies_s: list[Latency]
    completed_requests: Count
    failed_requests: Count
    partial: bool = False
    runs: list[RunPart] = []
    confidence: dict[str, tuple[Number, Number]] | None = None
    throughput_qps: Number | None = None
    goodput_qps: Number | None = None
    slo_attainment_rate: Share | None = None
    slo_attainment_rate_since_due: Share | None = None
    failed_share: Share | None = None
    slo_source: str = "unknown"
    deadline_mean: Number | None = None
    deadline_p50: Number | None = None
    deadline_p99: Number | None = None
    deadline_max: Number | None = None

    @property
    def has_deadlines(self) -> bool:
        """Whether its requests had deadlines."""
        return self.slo_attainment_rate is not None

    @property
    def deadlines_s(self) -> Sequence[float]:
        """Statistics that identify the deadlines; empty if the file has none."""
        found = (self.deadline_mean, self.deadline_p50, self.deadline_p99, self.deadline_max)
        return [each for each in found if each is not None]

    def interval_of(self, name: str) -> IntervalEstimate | None:
        """Return a rate or share with its interval; None if the file lacks one of them."""
        value, bounds = getattr(self, name), (self.confidence or {}).get(name)
        return None if value is None or bounds is None else IntervalEstimate(value, bounds)

    @property
    def latencies_of_runs(self) -> Runs:
        """Latencies of each run that has successes."""
        ends = np.cumsum([run.completed_requests for run in self.runs])[:-1]
        return [run for run in np.split(np.array(self.latencies_s), ends) if len(run)]


def read_result(path: Path) -> BenchResult:
    """Read a result file; raises BadResult."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=BenchResult)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadResult(
            f"{shorten(str(path))} is no result of safelight bench --output-file with its latencies: {error}."
        ) from None
    expected = sum(run.completed_requests for run in found.runs) if found.runs else found.completed_requests
    if expected != len(found.latencies_s):
        raise BadResult(
            f"{shorten(str(path))} has {len(found.latencies_s):,} latencies, and its runs tell of another number; "
            "write it anew with safelight bench --output-file."
        )
    return found
