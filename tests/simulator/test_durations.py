"""How long simulated work takes: by the profile, with its spread."""

import msgspec
import numpy as np
import pytest

from safelight.core.adapter import ControlNetUse
from safelight.core.model import StepTime
from safelight.core.pixels import Pixels
from safelight.profiles.parts import Spread
from safelight.profiles.profile import Profile
from safelight.simulator.simulation import SimulatedAdapter, SimulatedModel
from simulator.makers import ARRIVAL, SPEC, adapters, config, latencies_s, poisson, run, simulation, workers

STEPS = 20
ALONE_S = 0.01 + STEPS * 0.03 + 0.05
APART = {"rate_per_s": 0.2, "steps": lambda rng: STEPS}


def profiled(**fields):
    profile = msgspec.structs.replace(Profile.from_spec(SPEC), **fields)
    return workers(1, model=SimulatedModel(spec=SPEC, profile=profile))


def times_s(spread, *, count=400, seed=0, **fields):
    """Return the seconds of requests that each find the worker empty."""
    requests = [
        msgspec.structs.replace(request, arrived_s=10.0 * number)
        for number, request in enumerate(poisson(count, **APART))
    ]
    simulated = simulation(
        workers=profiled(spread=spread), requests=requests, control=config(*ARRIVAL), seed=seed, **fields
    )
    return latencies_s(run(simulated)[1])


def test_times_have_the_mean_and_the_spread_of_the_profile():
    seconds = times_s(Spread(step=0.2))
    assert seconds.mean() == pytest.approx(ALONE_S, rel=0.01)
    assert seconds.std() == pytest.approx(0.2 * np.sqrt(STEPS) * 0.03, rel=0.15)


def test_the_spread_is_as_large_if_each_call_is_an_event():
    seconds = times_s(Spread(step=0.2), coalesces=False)
    assert seconds.std() == pytest.approx(0.2 * np.sqrt(STEPS) * 0.03, rel=0.15)


def test_a_seed_gives_the_same_times_and_another_one_others():
    one, same, other = (times_s(Spread(step=0.2, decode=0.1), count=20, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert not (one == other).any()


def test_each_controlnet_takes_its_time_in_every_call():
    controlnet = msgspec.structs.replace(adapters(1, tier="host")[0].spec, kind="controlnet", ranks=())
    use = ControlNetUse(name=controlnet.name, scale=1.0, image=Pixels(width=1, height=1, rgb=bytes(3)))
    request = msgspec.structs.replace(next(iter(poisson(1, **APART))), controlnets=(use,))
    placed = (SimulatedAdapter(spec=controlnet, tier="host"),)
    profile = {"controlnet_times": (StepTime(denoiser_rows=1, seconds=0.02),)}
    _, (outcome,) = run(simulation(workers=profiled(**profile), requests=[request], adapters=placed))
    assert outcome.total_s == pytest.approx(ALONE_S + STEPS * 0.02 + 0.005)
