"""Predicted figures beside those that were measured for the same requests."""

from typing import Final

import msgspec
import polars as pl

from safelight.core.outcome import CLOCK_ERROR_S
from safelight.core.version import __version__
from safelight.simulator.results.documents import SimulationDocument
from safelight.simulator.results.intervals import Estimate

RELATIVE: Final = ("latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s", "throughput_per_s")
"""Figures whose errors are shares of the measured value."""

ABSOLUTE: Final = ("attainment",)
"""Figures whose errors are differences."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of an outcome log; they mean the same as those of a simulated run.

    Attributes:
        simulated: whether the log is that of a simulation.
        left_out: requests that their clients cancelled, or that came before the server was ready, and lines that could
            not be read.
    """

    simulated: bool
    requests: int
    left_out: int
    finished: int
    refused: int
    expired: int
    failed: int
    late: int
    attainment: float
    violations: float
    latency_mean_s: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    queue_mean_s: float | None
    throughput_per_s: float | None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation says of the same requests under one choice of policies.

    Attributes:
        n: runs with different seeds.
        figures: means over them.
        errors: of a figure's mean, as a share of the measured value; of attainment, the difference.
    """

    simulated: bool = True
    policy: str
    n: int
    figures: dict[str, Estimate]
    errors: dict[str, float]


class FidelityDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions beside what was measured.

    Attributes:
        scenario, log: names of files.
        is_complete: whether all runs are complete.
        notes: sentences on what the simulated figures leave out.
    """

    scenario: str
    log: str
    safelight: str = __version__
    is_complete: bool
    notes: tuple[str, ...] = ()
    measured: Measured
    predictions: tuple[Prediction, ...]


def measured_of(table: pl.DataFrame, *, left_out: int) -> Measured:
    """Return the figures of requests that were served, without cancelled ones.

    Args:
        table: canonical, with at least one row; each has a status and a duration.
        left_out: how many requests are not in it.
    """
    finished = table.filter(pl.col("status") == "finished")
    latencies_s = finished["duration_s"]
    is_late = finished["duration_s"] > finished["deadline_s"].fill_null(float("inf")) + CLOCK_ERROR_S
    attainment = (len(finished) - int(is_late.sum())) / len(table)
    ends_s = table["arrival_s"] + table["duration_s"]
    lasted_s = float(ends_s.max() or 0.0) - float(table["arrival_s"].min() or 0.0)  # type: ignore[arg-type] # floats
    quantiles_s = {share: latencies_s.quantile(share, "linear") for share in (0.5, 0.95, 0.99)}
    count = {status: int((table["status"] == status).sum()) for status in ("rejected", "expired", "failed")}
    return Measured(
        simulated=bool((table["origin"] == "simulated").any()),
        requests=len(table),
        left_out=left_out,
        finished=len(finished),
        refused=count["rejected"],
        expired=count["expired"],
        failed=count["failed"],
        late=int(is_late.sum()),
        attainment=attainment,
        violations=1 - attainment,
        latency_mean_s=_mean(latencies_s),
        latency_p50_s=quantiles_s[0.5],
        latency_p95_s=quantiles_s[0.95],
        latency_p99_s=quantiles_s[0.99],
        queue_mean_s=_mean(finished["queue_s"]),
        throughput_per_s=len(finished) / lasted_s if lasted_s > 0 else None,
    )


def fidelity_of(document: SimulationDocument, measured: Measured, *, log: str) -> FidelityDocument:
    """Return the predictions of a simulation of the same requests beside what was measured."""
    return FidelityDocument(
        scenario=document.scenario,
        log=log,
        is_complete=document.is_complete,
        notes=document.notes,
        measured=measured,
        predictions=tuple(
            Prediction(
                policy=summary.policy, n=summary.n, figures=summary.figures, errors=errors_of(summary.figures, measured)
            )
            for summary in document.summaries
        ),
    )


def errors_of(predicted: dict[str, Estimate], measured: Measured) -> dict[str, float]:
    """Return the errors of all figures that both have."""
    errors: dict[str, float] = {}
    for name in (*RELATIVE, *ABSOLUTE):
        known = getattr(measured, name)
        if known is not None and name in predicted and (known > 0 or name in ABSOLUTE):
            difference = predicted[name].mean - known
            errors[name] = difference if name in ABSOLUTE else difference / known
    return errors


def _mean(column: pl.Series) -> float | None:
    mean = column.mean()
    return mean if isinstance(mean, float) else None
