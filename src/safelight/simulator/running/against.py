"""Simulates the requests of an outcome log again."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from safelight.core.errors import SafelightError
from safelight.simulator.errors import BadScenario
from safelight.simulator.results.fidelity import Measured, measured_of
from safelight.simulator.scenario.arrivals import HAS_ENDED
from safelight.simulator.scenario.scenario import Scenario
from safelight.simulator.scenario.start_pictures import FROM_NOISE
from safelight.simulator.scenario.workload import TraceSource
from safelight.traces.reading import open_trace


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A scenario whose workload is that of a log, and what was measured."""

    scenario: Scenario
    measured: Measured


def replay_of(scenario: Scenario, log: Path) -> Replay:
    """Return a scenario with the requests of an outcome log as its workload.

    Arrivals, models, steps, sizes, adapters, start pictures and deadlines are those of the log. Requests that their
    clients cancelled, or that came before the server was ready, are left out. If a request of the log has expired, late
    requests expire. Workers are ready at the start.

    Args:
        scenario: with the fleet, the profiles and the policies; its workload's `models` rename models of the log.
        log: of `safelight serve --outcomes`.

    Raises:
        BadScenario: if the log cannot be read, or has no outcomes, or the scenario has variants.
    """
    if scenario.variants:
        raise BadScenario("cannot be beside a log, which is of one fleet; name a file without them.", place="variants")
    try:
        trace = open_trace(log, lenient=True)
        table = trace.frame.collect()
    except SafelightError as error:
        raise BadScenario(f"The log cannot be used: {error}") from error
    kept = table.filter(HAS_ENDED)
    if kept.is_empty() or kept["arrival_s"].null_count():
        raise BadScenario(
            f"{str(log)!r} does not tell how requests ended; name an outcome log of `safelight serve --outcomes`."
        )
    _check_reuse(kept)
    left_out = len(table) - len(kept) + sum(trace.dropped.values())
    has_expired = bool((kept["status"] == "expired").any())
    on_deadline = "expire" if has_expired else scenario.deadlines.on_deadline
    return Replay(
        scenario=msgspec.structs.replace(
            scenario,
            loads=(1.0,),
            rates_per_s=(),
            warmup_s=0.0,
            fleet=tuple(
                msgspec.structs.replace(group, starts_ready=group.startup_s > 0 or group.starts_ready)
                for group in scenario.fleet
            ),
            variants=(),
            workload=msgspec.structs.replace(
                scenario.workload,
                arrivals=None,
                like=None,
                mix=(),
                trace=TraceSource(path=str(log.resolve()), lenient=True, only_ended=True),
            ),
            deadlines=msgspec.structs.replace(
                scenario.deadlines, seconds=None, solo_times=None, on_deadline=on_deadline
            ),
        ),
        measured=measured_of(kept, left_out=left_out),
    )


def _check_reuse(table: pl.DataFrame) -> None:
    """Raise BadScenario for requests that were served by earlier pictures."""
    is_whole = (pl.col("status") == "finished") & (pl.col("stages") == 0)
    is_part = (pl.col("task") == FROM_NOISE) & (pl.col("strength") < 1)
    if count := len(table.filter(is_whole | is_part)):
        raise BadScenario(
            f"The log has {count} requests that earlier pictures served in whole or in part (`serve --reuse`), which "
            "is not simulated; log a server without --reuse."
        )
