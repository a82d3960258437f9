"""What is read of the file of figures that a load left."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from safelight.bench.confidence import Bounds, Runs
from safelight.bench.errors import BadResult
from safelight.core.errors import shorten


class Seen(NamedTuple):
    """A figure, and the bounds that hold it with 95 % confidence."""

    value: float
    bounds: Bounds


class RunPart(msgspec.Struct, kw_only=True):
    """What is read of one run of several."""

    completed_requests: int


class Result(msgspec.Struct, kw_only=True):
    """What is read of a load's file; latencies are those of one run after the other."""

    latencies_s: list[float]
    completed_requests: int
    failed_requests: int
    partial: bool = False
    runs: list[RunPart] = []
    confidence: dict[str, Bounds] = {}
    throughput_qps: float | None = None
    goodput_qps: float | None = None
    slo_attainment_rate: float | None = None
    slo_attainment_rate_since_due: float | None = None
    failed_share: float | None = None

    def seen(self, name: str) -> "Seen | None":
        """Return a rate or share and its bounds; None where the file has not both."""
        value, bounds = getattr(self, name), self.confidence.get(name)
        return None if value is None or bounds is None else Seen(value, bounds)

    @property
    def latencies_of_runs(self) -> Runs:
        """Latencies of each run that has some."""
        ends = np.cumsum([run.completed_requests for run in self.runs])[:-1]
        return [run for run in np.split(np.array(self.latencies_s), ends) if len(run)]


def read_result(path: Path) -> tuple[Result, dict[str, Any]]:
    """Return a run's file, typed and whole; raises BadResult."""
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadResult(
            f"{shorten(str(path))} is no result of safelight bench --output-file with its latencies: {error}."
        ) from None
    if found.runs and sum(run.completed_requests for run in found.runs) != len(found.latencies_s):
        raise BadResult(
            f"{shorten(str(path))} has {len(found.latencies_s):,} latencies, and its runs tell of another number; "
            "write it anew with safelight bench --output-file."
        )
    return found, msgspec.json.decode(content)
