"""What goes wrong in a fleet: nothing is answered twice, and work moves once."""

from collections import Counter

import msgspec
import pytest

from safelight.adapters.capacity import AdapterCapacity
from safelight.control.liveness import LivenessLimits
from safelight.core.adapter import LoraUse
from safelight.simulator.simulate import simulate
from safelight.simulator.simulation import Fault, LoadCost, LoadTiers
from simulator.makers import SPEC, adapters, config, poisson, run, simulation, timed, workers

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


def test_a_slow_down_begins_at_the_next_call():
    alone = {"requests": list(poisson(1, 1e9, steps=lambda rng: 20))}
    fault = Fault(kind="slow", worker="w0", at_s=0.01 + 10 * 0.03 - 1e-4, factor=2.0)
    _, (outcome,) = run(simulation(1, faults=(fault,), **alone))
    assert outcome.total_s == pytest.approx(0.01 + 10 * 0.03 + 10 * 0.06 + 2 * 0.05)


def alone(*faults, startup_s=0.0, arrives_s=5.0, model=None, **fields):
    """Return the outcome of one request of 20 steps on a worker that has faults."""
    fleet = workers(1, startup_s=startup_s, **({} if model is None else {"model": model}))
    request = msgspec.structs.replace(next(poisson(1, 1.0, steps=lambda rng: 20)), arrived_s=arrives_s)
    settings = {"workers": fleet, "requests": [request], "control": config("admission=open"), "faults": faults}
    return run(simulation(**(settings | fields)))[1][0]


ALONE_S = 0.01 + 20 * 0.03 + 0.05


def slow(at_s, for_s, factor):
    return Fault(kind="slow", worker="w0", at_s=at_s, for_s=for_s, factor=factor)


@pytest.mark.parametrize(
    ("faults", "factor"),
    [((slow(1, None, 2), slow(2, 1, 5)), 2), ((slow(1, 9, 2), slow(2, 9, 3)), 6), ((slow(1, 1, 2),), 1)],
)
def test_slow_downs_that_overlap_multiply_and_each_ends_alone(faults, factor):
    assert alone(*faults).total_s == pytest.approx(factor * ALONE_S)


@pytest.mark.parametrize("kind", ["hang", "partition"])
def test_a_fault_within_a_longer_one_does_not_end_it(kind):
    longer = Fault(kind=kind, worker="w0", at_s=4.0, for_s=3.0)
    shorter = Fault(kind=kind, worker="w0", at_s=5.5, for_s=0.5)
    without, within = alone(longer), alone(longer, shorter)
    assert within.total_s > 2.0
    assert without.total_s == pytest.approx(within.total_s)


@pytest.mark.parametrize(
    ("fault", "ready_s"),
    [
        (Fault(kind="die", worker="w0", at_s=2.0), 2.0 + 0.1 + 10.0),
        (Fault(kind="hang", worker="w0", at_s=2.0, for_s=5.0), 15.0),
        (Fault(kind="hang", worker="w0", at_s=2.0), 2.0 + 20.0 + 0.1 + 10.0),
        (Fault(kind="partition", worker="w0", at_s=2.0, for_s=4.0), 10.0),
        (Fault(kind="partition", worker="w0", at_s=2.0, for_s=9.0), 11.0),
        (Fault(kind="partition", worker="w0", at_s=2.0), 2.0 + 15.0 + 0.1 + 10.0),
    ],
)
def test_a_fault_during_the_start_delays_it_or_begins_another_one(fault, ready_s):
    limits = LivenessLimits(start_stalled_s=20.0, start_silence_s=15.0, tick_s=10.0)
    run_of = {"startup_s": 10.0, "control": config("admission=open", liveness=limits)}
    assert alone(fault, arrives_s=ready_s - 1e-6, **run_of).reason == "not_ready"
    assert alone(fault, arrives_s=ready_s, **run_of).status == "finished"


def test_a_hang_of_calls_without_seconds_ends():
    hang = Fault(kind="hang", worker="w0", at_s=4.0, for_s=3.0)
    model = timed(SPEC, tick_s=0.0)
    assert alone(hang, model=model).total_s == pytest.approx(2.0)


def with_lora(arrived_s, number=0, **fields):
    use = LoraUse(name=f"lora-{number}", scale=1.0)
    request = next(poisson(1, 1.0, steps=lambda rng: 1))
    return msgspec.structs.replace(request, id=f"{arrived_s}", arrived_s=arrived_s, loras=(use,), **fields)


def reading_s(*requests, tier, faults=(), **fields):
    """Return the seconds of each request beyond those of one whose LoRA is on the device."""
    tiers = LoadTiers(remote=LoadCost(constant_s=8.0), disk=LoadCost(constant_s=2.0), host=LoadCost(constant_s=0.5))
    outcomes = run(
        simulation(
            workers=workers(1, load_tiers=tiers, **fields),
            requests=[*requests, with_lora(1e3, 0), with_lora(2e3, 0)],
            adapters=adapters(2, tier=tier),
            control=config("admission=open", "placement=no-prefetch"),
            faults=faults,
        )
    )[1]
    base_s = outcomes[-1].total_s
    return [outcome.total_s - base_s for outcome in outcomes[: len(requests)]]


def test_what_left_host_memory_is_read_from_the_disk():
    one = AdapterCapacity(host_bytes=5_000_000, device_ranks=16, device_controlnets=1)
    asked = [with_lora(100.0), with_lora(200.0, 1), with_lora(300.0)]
    found = reading_s(*asked, tier="host", adapter_capacity=one)
    assert found == pytest.approx([0.5, 0.5, 2.5], abs=0.2)


@pytest.mark.parametrize(("tier", "after"), [("remote", 2.5), ("host", 2.5), ("disk", 2.5)])
def test_a_new_process_has_the_disk_of_its_machine_and_no_host_memory(tier, after):
    death = Fault(kind="die", worker="w0", at_s=150.0)
    first, second = reading_s(with_lora(100.0), with_lora(200.0), tier=tier, faults=[death])
    assert first == pytest.approx({"remote": 10.5, "disk": 2.5, "host": 0.5}[tier], abs=0.2)
    assert second == pytest.approx(after, abs=0.2)


def test_loads_of_a_slow_worker_take_as_many_times_as_long():
    (found,) = reading_s(with_lora(100.0), tier="disk", faults=[slow(50.0, 100.0, 3.0)])
    assert found == pytest.approx(3 * 2.5, abs=0.5)


@pytest.mark.parametrize("warmup_s", [0.0, 4.5])
def test_what_a_lost_worker_computed_counts(warmup_s):
    spans = []
    faults = (Fault(kind="die", worker="w0", at_s=5.0),)
    request = msgspec.structs.replace(next(poisson(1, 1.0, steps=lambda rng: 100)), arrived_s=4.0)
    lost = simulation(1, requests=[request], faults=faults, control=config("admission=open"), warmup_s=warmup_s)
    counts = simulate(lost, on_span=spans.append)
    whole_s = 0.01 + 100 * 0.03 + 0.05
    assert counts.busy_s == pytest.approx(1.0 + whole_s)
    assert counts.ticks == int((1.0 - 0.01) / 0.03) + 100
    assert sum(span.end_s - span.start_s for span in spans if span.kind != "start") == pytest.approx(counts.busy_s)
    assert counts.warmup is None or counts.warmup.busy_s == pytest.approx(0.5)
