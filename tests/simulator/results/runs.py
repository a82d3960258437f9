"""Results of runs for tests."""

from safelight.simulator.results.documents import RunResult, Span, document_of
from safelight.simulator.results.figures import Counters, RunKey
from safelight.simulator.results.tally import Tally
from simulator.results.outcomes import outcome_of


def result_of(policy="ours", *, load=1.0, seed=0, is_complete=True, slowness=1.0, quality=0.5, spans=True, variant=""):
    """Return a run of 60 requests."""
    tally = Tally(quality_of=lambda level: quality)
    for number in range(60):
        model = "small" if number % 3 else "large"
        total_s = slowness * (1 + (number + seed) % 5)
        tally.timeline.add_span(number, number + 0.9, is_down=False)
        tally.add(outcome_of(float(number), total_s, deadline_s=4.0, model=model, queue_s=0.5))
    some = [
        Span(
            worker=f"gpu-{1 + number % 2}", what="large" if number % 4 else "small", start_s=number, end_s=number + 0.8
        )
        for number in range(20)
    ]
    return RunResult(
        key=RunKey(policy=policy, load=load, seed=seed, variant=variant),
        rate_per_s=load,
        is_complete=is_complete,
        figures=tally.figures(Counters(end_s=66.0, worker_s=132.0, busy_s=60.0)),
        timeline=tally.timeline.rows(),
        spans=tuple(some) if spans else (),
    )


def document(results, *, is_complete=True):
    """Return the document of some runs."""
    policies = dict.fromkeys((result.key.policy for result in results), ("deadlines",))
    return document_of(results, scenario="x.toml", title="A title", policies=policies, is_complete=is_complete)
