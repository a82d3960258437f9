"""Laws of queueing, and of every simulation."""

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from safelight.simulator.simulate import EventLoop
from safelight.traces.row import row_of
from simulator.makers import (
    ARRIVAL,
    SPEC,
    adapters,
    config,
    latencies_s,
    poisson,
    run,
    simulation,
    timed,
    workers,
)

SERVICE_S = 1.0
STEPS = 400
MIXES = {
    "plain": {},
    "deadlines": {"deadline_s": 3.0},
    "loras": {"loras": 4},
    "sizes": {"sizes": (64, 96), "deadline_s": 6.0},
}


def queue(servers, *, load, steps, count=6000, seed=3):
    """A queue in order of arrival, whose requests take one second on average, at this load."""
    return simulation(
        workers=workers(servers, model=timed(SPEC, tick_s=SERVICE_S / STEPS), max_denoiser_rows=1),
        requests=list(poisson(count, load * servers / SERVICE_S, seed=seed, steps=steps)),
        control=config(*ARRIVAL, lookahead_rows=0),
    )


def exponential(rng):
    return rng.exponential(STEPS)


def constant(rng):
    return STEPS


def erlang_c(servers, offered):
    """The probability that an arrival waits in M/M/c, where `offered` servers are busy on average."""
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(offered**busy / math.factorial(busy) for busy in range(servers)) + last)


def recursion_s(simulated, servers):
    """The times in the system by the recursion of Kiefer and Wolfowitz (1955): each takes the first free server."""
    free_s, times_s = [0.0] * servers, []
    for request in simulated.requests:
        begin_s = max(request.arrived_s, min(free_s))
        free_s[free_s.index(min(free_s))] = begin_s + request.steps * SERVICE_S / STEPS
        times_s.append(begin_s + request.steps * SERVICE_S / STEPS - request.arrived_s)
    return times_s


@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("steps", [exponential, constant])
def test_a_queue_in_order_of_arrival_follows_its_recursion(servers, steps):
    simulated = queue(servers, load=0.8, steps=steps, count=1000)
    _, outcomes = run(simulated)
    found_s = {outcome.request.id: outcome.total_s for outcome in outcomes}
    in_order = [found_s[request.id] for request in simulated.requests]
    np.testing.assert_allclose(in_order, recursion_s(simulated, servers), rtol=1e-6)


@pytest.mark.parametrize(
    ("servers", "load", "steps", "mean_s"),
    [
        pytest.param(1, 0.5, exponential, SERVICE_S / (1 - 0.5), id="M/M/1"),
        pytest.param(1, 0.5, constant, SERVICE_S * (1 + 0.5 / (2 * (1 - 0.5))), id="M/D/1"),
        pytest.param(3, 0.6, exponential, SERVICE_S * (1 + erlang_c(3, 1.8) / (3 * (1 - 0.6))), id="M/M/3"),
    ],
)
def test_requests_take_as_long_on_average_as_queueing_theory_says(servers, load, steps, mean_s):
    _, outcomes = run(queue(servers, load=load, steps=steps))
    assert latencies_s(outcomes).mean() == pytest.approx(mean_s, rel=0.1)


def mixed(mix, *, count=400, rate_per_s=6.0, **fields):
    """Some work of each kind, at a load that fills two workers."""
    return simulation(
        requests=list(poisson(count, rate_per_s, **MIXES[mix])),
        adapters=adapters(MIXES[mix].get("loras", 0)),
        control=config(),
        **fields,
    )


every_mix = pytest.mark.parametrize("mix", MIXES)


@every_mix
def test_at_every_event_each_request_that_has_arrived_waits_runs_or_has_ended_once(mix):
    ended = []
    loop = EventLoop(mixed(mix), on_outcome=lambda outcome: ended.append(outcome.request.id))
    while loop.step():
        controller = loop.controller
        assert loop.counts.arrived == controller.waiting_count + controller.running_count + len(ended)
    assert sorted(ended) == sorted(f"r{number}" for number in range(400))


@every_mix
def test_the_number_of_requests_in_the_system_is_their_rate_times_their_time_in_it(mix):
    moments, outcomes = [(0.0, 0)], []
    loop = EventLoop(mixed(mix), on_outcome=outcomes.append)
    while loop.step():
        moments.append((loop.counts.end_s, loop.counts.arrived - len(outcomes)))
    area_s = sum(count * (later - now) for (now, count), (later, _) in pairwise(moments))
    assert area_s == pytest.approx(sum(outcome.total_s for outcome in outcomes))


def log_of(simulated):
    return b"\n".join(msgspec.json.encode(row_of(outcome, origin="simulated")) for outcome in run(simulated)[1])


@every_mix
def test_one_seed_gives_one_log_to_the_byte(mix):
    assert log_of(mixed(mix)) == log_of(mixed(mix))


@every_mix
def test_equal_calls_in_a_row_as_one_event_give_the_same_outcomes(mix):
    one, each = (run(mixed(mix, coalesces=coalesces)) for coalesces in (True, False))
    assert [outcome.request.id for outcome in one[1]] == [outcome.request.id for outcome in each[1]]
    assert [outcome.worker for outcome in one[1]] == [outcome.worker for outcome in each[1]]
    assert [outcome.status for outcome in one[1]] == [outcome.status for outcome in each[1]]
    np.testing.assert_allclose(latencies_s(one[1]), latencies_s(each[1]), rtol=1e-6)
    assert one[0].ticks == each[0].ticks
    assert one[0].events < each[0].events


def test_a_request_alone_takes_the_seconds_of_its_profile():
    _, (outcome,) = run(simulation(1, requests=poisson(1, 1.0, steps=lambda rng: 20)))
    assert outcome.total_s == pytest.approx(0.01 + 20 * 0.03 + 0.05)


def test_a_worker_of_twice_the_speed_takes_half_the_time():
    slow, fast = (
        run(simulation(workers=workers(1, speed=speed), requests=poisson(1, 1.0, steps=lambda rng: 20)))[1][0].total_s
        for speed in (1.0, 2.0)
    )
    assert fast == pytest.approx(slow / 2)


def test_a_worker_serves_only_once_it_has_started():
    _, (outcome,) = run(
        simulation(
            workers=workers(1, startup_s=5.0), requests=poisson(1, 1.0, begin_s=10.0), control=config("admission=open")
        )
    )
    assert outcome.status == "finished"


@pytest.mark.parametrize(("tier", "seconds"), [("host", 0.005), ("disk", 0.105)])
def test_a_lora_is_loaded_at_the_cost_of_the_tier_that_holds_it(tier, seconds):
    request = next(request for request in poisson(50, 1.0, loras=1) if request.loras)
    with_lora = simulation(1, requests=[request], adapters=adapters(1, tier=tier))
    counts, (outcome,) = run(with_lora)
    assert counts.adapter_loads == 1
    assert outcome.queue_s == pytest.approx(seconds + 0.01, abs=0.002)
