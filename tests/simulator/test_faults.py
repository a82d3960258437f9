"""What goes wrong in a fleet: nothing is answered twice, and work moves once."""

from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from safelight.control.liveness import LivenessLimits
from safelight.simulator.simulate import simulate
from safelight.simulator.simulation import Fault
from simulator.makers import SPEC, config, poisson, renamed, run, simulation, timed, workers

LIMITS = LivenessLimits(beat_s=0.1, suspected_s=0.5, hung_s=2.0, tick_s=2.0, tick_factor=1.0)
AT_S = 4.0
COUNT = 120


def faulty(*faults, count=COUNT, rate_per_s=6.0, begin_s=1.0, **fields):
    """Return a simulation of two workers that are loaded, and have faults."""
    return simulation(
        workers=workers(2, startup_s=0.5),
        requests=list(poisson(count, rate_per_s, begin_s=begin_s)),
        control=config("admission=open", "preemption=never", liveness=LIMITS),
        faults=faults,
        **fields,
    )


FAULTS = {
    "die": Fault(kind="die", worker="w0", at_s=AT_S),
    "hang for ever": Fault(kind="hang", worker="w0", at_s=AT_S),
    "hang": Fault(kind="hang", worker="w0", at_s=AT_S, for_s=1.0),
    "slow": Fault(kind="slow", worker="w0", at_s=AT_S, for_s=3.0, factor=3.0),
    "partition for ever": Fault(kind="partition", worker="w0", at_s=AT_S),
    "long partition": Fault(kind="partition", worker="w0", at_s=AT_S, for_s=6.0),
    "short partition": Fault(kind="partition", worker="w0", at_s=AT_S, for_s=1.0),
}
REPLACING = ("die", "hang for ever", "partition for ever", "long partition")
every_fault = pytest.mark.parametrize("fault", FAULTS)


@every_fault
def test_every_request_ends_once(fault):
    counts, outcomes = run(faulty(FAULTS[fault]))
    ids = Counter(outcome.request.id for outcome in outcomes)
    assert (len(ids), set(ids.values()), counts.ended) == (COUNT, {1}, COUNT)
    assert {outcome.status for outcome in outcomes} == {"finished"}


@every_fault
def test_the_work_of_a_lost_worker_moves_once(fault):
    _, outcomes = run(faulty(FAULTS[fault]))
    retries = Counter(outcome.retries for outcome in outcomes)
    assert set(retries) == ({0, 1} if fault in REPLACING else {0})


@pytest.mark.parametrize("fault", REPLACING)
def test_a_lost_worker_has_a_successor_of_another_name(fault):
    _, outcomes = run(faulty(FAULTS[fault]))
    assert {outcome.worker for outcome in outcomes} == {"w0", "w1", "w0.2"}


@every_fault
def test_a_fault_has_the_same_outcomes_if_equal_calls_are_one_event(fault):
    one, each = (run(faulty(FAULTS[fault], coalesces=coalesces))[1] for coalesces in (True, False))
    assert [(outcome.request.id, outcome.worker) for outcome in one] == [
        (outcome.request.id, outcome.worker) for outcome in each
    ]
    assert [outcome.total_s for outcome in one] == pytest.approx([outcome.total_s for outcome in each])


def test_a_request_before_its_worker_was_ever_ready_is_refused():
    other = timed(SPEC, tick_s=0.1)
    other = replace(other, spec=renamed(other.spec, "other"))
    late = replace(workers(1, model=other, startup_s=5.0)[0], name="late")
    wanted = ((0.1, "model"), (0.2, None), (1.0, "model"), (1.0, "other"), (6.0, "other"))
    (kind,) = poisson(1, 1.0)
    requests = [
        msgspec.structs.replace(kind, id=f"r{number}", arrived_s=arrived_s, model=model)
        for number, (arrived_s, model) in enumerate(wanted)
    ]
    _, outcomes = run(simulation(workers=(*workers(1, startup_s=0.5), late), requests=requests))
    ended = {each.request.id: (each.status, each.reason, each.level.model) for each in outcomes}
    assert [ended[f"r{number}"] for number in range(5)] == [
        ("rejected", "not_ready", "model"),
        ("rejected", "not_ready", "model"),
        ("finished", "", "model"),
        ("rejected", "not_ready", "other"),
        ("finished", "", "other"),
    ]


def test_a_worker_that_died_starts_again_after_its_startup_time():
    _, outcomes = run(
        simulation(
            workers=workers(1, startup_s=20.0),
            requests=list(poisson(1, 1.0, begin_s=30.0)),
            control=config("admission=open"),
            faults=(Fault(kind="die", worker="w0", at_s=25.0),),
        )
    )
    assert 45.0 < outcomes[0].request.arrived_s + outcomes[0].total_s < 48.0


def test_a_slow_worker_takes_so_many_times_as_long():
    alone = {"requests": list(poisson(1, 1.0, steps=lambda rng: 20, begin_s=5.0))}
    fault = Fault(kind="slow", worker="w0", at_s=1.0, factor=3.0)
    plain, slow = (run(simulation(1, faults=faults, **alone))[1][0].total_s for faults in ((), (fault,)))
    assert slow == pytest.approx(3 * plain)


def end_of(*faults, startup_s=0.0, arrives_s=5.0, **fields):
    """Return when the only request of a simulation of one worker is finished; its work takes 20 calls of 0.03 s."""
    (request,) = poisson(1, 1e9, steps=lambda rng: 20, begin_s=arrives_s)
    control = config("admission=open", liveness=LIMITS)
    run_of = {"workers": workers(1, startup_s=startup_s), "requests": [request], "control": control, **fields}
    _, (outcome,) = run(simulation(1, faults=faults, **run_of))
    assert outcome.status == "finished"
    return outcome.request.arrived_s + outcome.total_s


def fault(kind, at_s, for_s=None, **fields):
    return Fault(kind=kind, worker="w0", at_s=at_s, for_s=for_s, **fields)


def test_overlapping_faults_do_not_end_each_other():
    work_s = end_of() - 5.0
    slow = fault("slow", 1.0, factor=3.0)
    assert end_of(slow, fault("slow", 2.0, 1.0)) == pytest.approx(5.0 + 3 * work_s)
    assert end_of(slow, fault("slow", 2.0)) == pytest.approx(5.0 + 6 * work_s)
    assert end_of(fault("hang", 4.0, 2.5), fault("hang", 4.1, 0.5)) == pytest.approx(6.5 + work_s, abs=0.1)
    apart = fault("partition", 4.9, 1.5), fault("partition", 5.0, 0.2)
    assert end_of(*apart) == pytest.approx(end_of(apart[0]))


@pytest.mark.parametrize(
    ("faults", "ready_s"),
    [
        ([], 10.0),
        ([fault("die", 4.0)], 14.1),
        ([fault("slow", 4.0, factor=3.0)], 22.0),
        ([fault("slow", 4.0, 6.0, factor=3.0)], 14.0),
        ([fault("hang", 4.0, 5.0)], 15.0),
        ([fault("hang", 4.0)], 34.1),
        ([fault("partition", 4.0, 2.0)], 10.0),
        ([fault("partition", 4.0, 8.0)], 12.0),
        ([fault("partition", 4.0)], 24.1),
    ],
)
def test_faults_during_a_start_delay_it(faults, ready_s):
    spans = []
    limits = LivenessLimits(start_silence_s=10.0, start_stalled_s=20.0)
    made = simulation(
        workers=workers(1, startup_s=10.0),
        requests=poisson(1, 1e9, begin_s=100.0),
        control=config("admission=open", liveness=limits),
        faults=faults,
    )
    simulate(made, on_span=spans.append)
    assert next(span.end_s for span in spans if span.kind == "start") == pytest.approx(ready_s)


def test_a_slow_down_begins_at_the_next_call():
    alone = {"requests": list(poisson(1, 1e9, steps=lambda rng: 20))}
    fault = Fault(kind="slow", worker="w0", at_s=0.01 + 10 * 0.03 - 1e-4, factor=2.0)
    _, (outcome,) = run(simulation(1, faults=(fault,), **alone))
    assert outcome.total_s == pytest.approx(0.01 + 10 * 0.03 + 10 * 0.06 + 2 * 0.05)
