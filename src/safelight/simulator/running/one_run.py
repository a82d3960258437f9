"""Does one run of a plan."""

from pathlib import Path

from safelight.core.errors import ProfileError, RequestError
from safelight.core.outcome import Outcome
from safelight.simulator.errors import BadScenario
from safelight.simulator.language.simulate import LanguageSimulation, simulate_language
from safelight.simulator.results.documents import MOST_WORKERS, RunResult, Span
from safelight.simulator.results.figures import Counters
from safelight.simulator.results.tally import Tally
from safelight.simulator.running.notes import faults_left_out
from safelight.simulator.running.outcome_files import Sink, with_outcome_file
from safelight.simulator.running.plan import SimulationPlan
from safelight.simulator.running.preparing import PreparedRun, prepare
from safelight.simulator.running.progress import OnProgress, RunProgress
from safelight.simulator.running.stopping import Stop
from safelight.simulator.simulate import simulate
from safelight.simulator.simulation import OnOutcome, SimulatedRun
from safelight.simulator.simulation import Span as DeviceSpan

MOST_SPANS = 2000
"""Of the first workers of a run; later ones are not drawn."""


def run_one(
    plan: SimulationPlan, number: int, *, outcomes: Path | None, stop: Stop, on_progress: OnProgress
) -> RunResult:
    """Return the result of a run, also if it is ended early.

    Args:
        plan: with all runs.
        number: of the run in the plan.
        outcomes: a file for its outcome log; None writes none.
        stop: ends it early.
        on_progress: is called now and then.

    Raises:
        BadScenario: if it cannot be simulated.
        CannotWrite: if the file cannot be written.
    """
    key = plan.keys[number]
    scenario = plan.variants[key.variant]
    prepared = prepare(scenario, key, policies=plan.policies[key.variant][key.policy], folder=Path(plan.folder))
    run = _Run(prepared, number, warmup_s=scenario.warmup_s, stop=stop, on_progress=on_progress)
    if outcomes is None:
        run.simulate(lambda outcome: None)
    else:
        with_outcome_file(outcomes, run.simulate)
    return RunResult(
        key=key,
        rate_per_s=prepared.rate_per_s,
        is_complete=run.is_complete,
        figures=run.tally.figures(run.counters),
        quality_metric=prepared.quality_metric,
        notes=(*prepared.notes, *(faults_left_out(scenario.faults, run.counters.end_s) if run.is_complete else ())),
        timeline=run.tally.periods,
        spans=tuple(run.spans),
    )


class _Run:
    """One run, and what is known of it so far."""

    def __init__(
        self, prepared: PreparedRun, number: int, *, warmup_s: float, stop: Stop, on_progress: OnProgress
    ) -> None:
        self.tally = Tally(
            quality_of=prepared.quality_of,
            quality_of_mix=prepared.quality_of_mix,
            gain_of=prepared.gain_of,
            warmup_s=warmup_s,
            workers=len(prepared.workers),
        )
        self._warmup_s = warmup_s
        self.spans: list[Span] = []
        self.counters = Counters()
        self.is_complete = False
        self._prepared, self._number, self._stop, self._report = prepared, number, stop, on_progress
        self._drawn = frozenset(prepared.workers[:MOST_WORKERS])

    def simulate(self, sink: Sink) -> None:
        """Give each outcome to `sink`."""

        def on_outcome(outcome: Outcome) -> None:
            self.tally.add(outcome)
            sink(outcome)

        try:
            run = self._simulated(on_outcome)
        except (RequestError, ProfileError) as error:
            raise BadScenario(f"The workload has a request that no worker can serve: {error}") from error
        self._count(run)
        self.is_complete = run.is_complete
        if run.is_complete:
            self._say(1.0)

    def _simulated(self, on_outcome: OnOutcome) -> SimulatedRun:
        simulation = self._prepared.simulation
        if isinstance(simulation, LanguageSimulation):
            return simulate_language(
                simulation, on_outcome=on_outcome, on_progress=self._on_progress, on_span=self._keep
            )
        return simulate(simulation, on_outcome=on_outcome, on_progress=self._on_progress, on_span=self._keep)

    def _on_progress(self, run: SimulatedRun) -> bool:
        self._count(run)
        last_s = self._prepared.last_s
        self._say(min(1.0, run.end_s / last_s) if last_s > 0 else 0.0)
        return not self._stop.is_set

    def _say(self, share: float) -> None:
        self._report(RunProgress(number=self._number, share=share, now_s=self.counters.end_s, ended=self.tally.ended))

    def _count(self, run: SimulatedRun) -> None:
        before = run.warmup or (run if self._warmup_s > 0 else SimulatedRun())
        later = {name: getattr(run, name) - getattr(before, name) for name in Counters.__struct_fields__}
        self.counters = Counters(**later | {"end_s": run.end_s})

    def _keep(self, span: DeviceSpan) -> None:
        self.tally.timeline.add_span(span.start_s, span.end_s, is_down=span.kind == "start")
        if len(self.spans) < MOST_SPANS and (worker := self._worker_of(span)) in self._drawn:
            what = f"{span.kind} {span.model}".strip()
            device = self._prepared.devices.get(worker)
            shown = worker if device is None else f"{worker} ({device})"
            self.spans.append(Span(worker=shown, what=what, start_s=span.start_s, end_s=span.end_s))

    def _worker_of(self, span: DeviceSpan) -> str:
        """Return the name of the worker's first process."""
        return span.worker if span.worker in self._drawn else span.worker.rpartition(".")[0]
