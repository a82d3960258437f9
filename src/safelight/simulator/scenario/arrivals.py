"""The rows of a workload: when requests arrive, and what the trace says of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from safelight.core.errors import SafelightError
from safelight.simulator.errors import BadScenario
from safelight.simulator.scenario.quantities import MOST_REQUESTS
from safelight.simulator.scenario.workload import LIKE, ArrivalSource, LikeSource, TraceSource, Workload
from safelight.traces.arrivals.bursty import Bursty
from safelight.traces.arrivals.diurnal import Diurnal
from safelight.traces.arrivals.process import ArrivalProcess, first, until
from safelight.traces.arrivals.renewal import Constant, Gamma, Poisson
from safelight.traces.reading import open_trace
from safelight.traces.synthesis.katz_template import KatzTemplate
from safelight.traces.synthesis.recorded_template import recorded_templates
from safelight.traces.synthesis.synthesize import SynthesisOptions, synthesize

if TYPE_CHECKING:
    from safelight.traces.synthesis.template import ServiceTemplate

CURVE_POINTS = 10_001
"""So many points of a rate curve are integrated over."""

HAS_ENDED: Final = (
    (pl.col("status") != "cancelled")
    & pl.col("duration_s").is_not_null()
    & (pl.col("reason").fill_null("") != "not_ready")
)
"""Whether a request of a log tells how a server that was ready ended it."""

Points = npt.NDArray[np.float64]

_SERVICES = dict(zip(LIKE, ("A", "B", "AB"), strict=True))


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Requests in order of arrival.

    Attributes:
        times_s: seconds after the start.
        table: what a trace says of them, in the canonical columns; None for those of an arrival process.
        rate_per_s: the mean rate at load 1, by which rates are turned into loads.
    """

    times_s: npt.NDArray[np.float64]
    table: pl.DataFrame | None
    rate_per_s: float


def arrivals_of(workload: Workload, *, folder: Path, load: float, seed: int) -> Arrivals:
    """Return the requests of a workload.

    Args:
        workload: whose sources have been checked.
        folder: that paths are relative to.
        load: multiple of the workload's own rate. The requests of a trace come closer together.
        seed: of what is drawn.

    Raises:
        BadScenario: if the trace cannot be read, has no request, or does not tell when they arrive.
    """
    rng = np.random.default_rng([seed, 0])
    if workload.arrivals is not None:
        return _of_process(workload.arrivals, load, rng)
    assert workload.trace is not None or workload.like is not None
    place = "workload.trace" if workload.trace is not None else "workload.like"
    try:
        table = (
            _of_trace(workload.trace, folder) if workload.trace is not None else _like(workload.like, folder, seed)  # type: ignore[arg-type] # one of them is there
        )
    except BadScenario:
        raise
    except SafelightError as error:
        raise BadScenario(f": {error}", place=place) from error
    return _of_table(table, load, place)


def process_of(source: ArrivalSource) -> ArrivalProcess:
    """Return the arrival process of a source."""
    match source.process:
        case "constant":
            return Constant()
        case "gamma":
            return Gamma(cv=source.cv)
        case "bursty":
            return Bursty(factor=source.factor, share=source.burst_share, burst_s=source.burst_s)
        case "diurnal":
            return Diurnal(amplitude=source.amplitude, period_s=source.period_s)
    return Poisson()


def _of_process(source: ArrivalSource, load: float, rng: np.random.Generator) -> Arrivals:
    process = process_of(source)
    if source.rate_curve:
        return _along(np.array(source.rate_curve), process, load, rng)
    assert source.rate_per_s is not None
    rate = source.rate_per_s * load
    if source.requests is not None:
        times_s = first(process, source.requests, rate=rate, rng=rng)
    else:
        assert source.duration_s is not None
        _check_count(rate * source.duration_s)
        times_s = until(process, source.duration_s, rate=rate, rng=rng)
    return Arrivals(times_s=times_s, table=None, rate_per_s=source.rate_per_s)


def _along(curve: Points, process: ArrivalProcess, load: float, rng: np.random.Generator) -> Arrivals:
    """Return arrivals whose rate follows a curve of times and rates: `process`, on a clock that counts arrivals."""
    times_s = np.linspace(0, curve[-1, 0], CURVE_POINTS)
    rates = np.interp(times_s, curve[:, 0], curve[:, 1]) * load
    counts = np.concatenate([[0.0], np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(times_s))])
    _check_count(float(counts[-1]))
    arrived = until(process, float(counts[-1]), rate=1.0, rng=rng)
    return Arrivals(
        times_s=np.interp(arrived, counts, times_s),
        table=None,
        rate_per_s=float(counts[-1]) / float(curve[-1, 0]) / load,
    )


def _check_count(expected: float) -> None:
    """Raise BadScenario for more requests than memory has room for."""
    if expected > MOST_REQUESTS:
        raise BadScenario(
            f"brings {expected:.3g} requests at this load; at most {MOST_REQUESTS:,} can be simulated. Shorten the "
            "duration, or lower the rate.",
            place="workload.arrivals",
        )


def _of_trace(source: TraceSource, folder: Path) -> pl.DataFrame:
    trace = open_trace(folder / source.path, lenient=source.lenient)
    frame = trace.frame if source.service is None else trace.of_service(source.service)
    if source.only_ended:
        frame = frame.filter(HAS_ENDED)
    return (frame if source.requests is None else frame.head(source.requests)).collect()


def _like(source: LikeSource, folder: Path, seed: int) -> pl.DataFrame:
    options = SynthesisOptions(
        requests=source.requests,
        instances=source.instances,
        skew=source.skew,
        diurnal=source.diurnal,
        bursts=source.bursts,
    )
    templates: list[ServiceTemplate] = (
        [KatzTemplate(service) for service in _SERVICES[source.trace]]
        if source.trace in _SERVICES
        else list(recorded_templates(open_trace(folder / source.trace).frame))
    )
    return synthesize(templates, options, seed=seed)


def _of_table(table: pl.DataFrame, load: float, place: str) -> Arrivals:
    if table.is_empty():
        raise BadScenario("has no request.", place=place)
    if table["arrival_s"].null_count():
        raise BadScenario("has requests that do not tell when they arrive.", place=place)
    if (pictures := int(table["images"].fill_null(1).cast(pl.Int64).sum())) > MOST_REQUESTS:
        raise BadScenario(f"asks for {pictures:,} pictures; at most {MOST_REQUESTS:,} can be simulated.", place=place)
    times_s = table["arrival_s"].to_numpy()
    times_s = times_s - times_s[0]
    length_s = float(times_s[-1])
    if length_s == 0 and load != 1:
        raise BadScenario("has requests that arrive all at once, so that no load changes them.", place=place)
    rate = (len(times_s) - 1) / length_s if length_s > 0 else 1.0
    return Arrivals(times_s=times_s / load, table=table, rate_per_s=rate)
