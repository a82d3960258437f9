"""Simulations of one small model."""

from dataclasses import replace

import msgspec
import numpy as np

from safelight.control.config import ControlConfig
from safelight.control.policies import policies_from
from safelight.core.adapter import AdapterSpec, LoraUse
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.core.request import ImageRequest
from safelight.profiles.profile import Profile
from safelight.simulator.simulate import simulate
from safelight.simulator.simulation import (
    LoadCost,
    LoadTiers,
    SimulatedAdapter,
    SimulatedModel,
    SimulatedWorker,
    Simulation,
)

SPEC = ModelSpec(
    name="model",
    family="sd",
    width=64,
    height=64,
    size_multiple=8,
    max_side=256,
    steps=20,
    guidance_scale=1.0,
    sampler="euler",
    samplers=("euler",),
    step_times=tuple(StepTime(denoiser_rows=rows, seconds=0.02 + 0.01 * rows) for rows in (1, 2, 4, 8)),
    encode_s=0.01,
    decode_s=0.05,
    adapter_costs=AdapterCosts(switch_s=0.05, unmerged_overhead=0.3, correction_overhead=0.4),
)
ARRIVAL = ("order=arrival", "admission=open", "batching=full", "preemption=never")
TIERS = LoadTiers(disk=LoadCost(constant_s=0.05, s_per_byte=1e-8), host=LoadCost(s_per_byte=1e-9))


def timed(spec, *, tick_s, encode_s=0.0, decode_s=0.0):
    """Return a model whose calls take `tick_s` seconds whatever their rows."""
    times = (StepTime(denoiser_rows=1, seconds=tick_s), StepTime(denoiser_rows=8, seconds=tick_s))
    spec = changed(spec, step_times=times, encode_s=encode_s, decode_s=decode_s)
    return SimulatedModel(spec=spec, profile=Profile.from_spec(spec))


def changed(spec, **fields):
    return msgspec.structs.replace(spec, **fields)


MODEL = SimulatedModel(spec=SPEC, profile=Profile.from_spec(SPEC))


def workers(count, *, model=MODEL, **fields):
    settings = {"max_denoiser_rows": 8, "load_tiers": TIERS} | fields
    return tuple(SimulatedWorker(name=f"w{number}", models=(model,), **settings) for number in range(count))


def config(*choices, **limits):
    return ControlConfig(**({"max_waiting": 1 << 20, "policies": policies_from(choices)} | limits))


def poisson(count, rate_per_s, *, seed=1, steps=None, deadline_s=None, loras=0, sizes=(64,), begin_s=0.0):
    """Requests whose steps are drawn from 4 to 40 unless `steps` draws them; some with one of `loras` LoRAs."""
    rng = np.random.default_rng(seed)
    times = begin_s + np.cumsum(rng.exponential(1 / rate_per_s, size=count))
    for number, time_s in enumerate(times.tolist()):
        side = int(rng.choice(sizes))
        with_lora = loras and rng.random() < 0.5
        yield ImageRequest(
            id=f"r{number}",
            prompt="",
            width=side,
            height=side,
            seed=number,
            arrived_s=time_s,
            model=SPEC.name,
            steps=int(rng.integers(4, 40)) if steps is None else max(1, round(steps(rng))),
            deadline_s=deadline_s,
            loras=(LoraUse(name=f"lora-{rng.integers(loras)}", scale=1.0),) if with_lora else (),
        )


def adapters(count, *, tier="disk"):
    specs = (
        AdapterSpec(name=f"lora-{number}", kind="lora", model=SPEC.name, weights_bytes=5_000_000, ranks=(16,))
        for number in range(count)
    )
    return tuple(SimulatedAdapter(spec=spec, tier=tier) for spec in specs)


def run(simulation, **changes):
    """Return the counts, and the outcomes in the order in which requests ended."""
    outcomes = []
    counts = simulate(replace(simulation, **changes), on_outcome=outcomes.append)
    return counts, outcomes


def latencies_s(outcomes):
    return np.array([outcome.total_s for outcome in outcomes if outcome.status == "finished"])


def simulation(count=2, **fields):
    return Simulation(**({"workers": workers(count), "requests": ()} | fields))
