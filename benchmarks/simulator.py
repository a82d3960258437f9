"""What a simulation costs: simulated requests a second, and memory, on Katz-like traces under the full policy.

The fleet serves the two services of a trace like the published one of Katz (`safelight trace synthesize --like
katz-a`, `katz-b`), each with workers and adapters of its own: 549,433 requests, 467 workers, about two ControlNets and
one or two LoRAs a request. A worker is about an H800 with SDXL: 50 steps with guidance, up to four pictures a call,
LoRAs beside the weights cost 8 % (Katz, table of its overheads). Half of the requests have a deadline. Each case runs in
a process of its own; its seconds are processor time of the simulation with the making of its requests, without that of
the trace.

| case | load |
| --- | --- |
| `trace` | the whole trace at the published rate, at which workers are idle most of the time |
| `loaded` | `--loaded-requests` so fast that the workers are busy to `--load` of what full calls make |
| `large` | `--large-requests` on 10,000 workers at the published rate of each |

- `requests_per_s`: of the case `trace`; `loaded_requests_per_s` of the case `loaded`.
- `vs_simpy`: `requests_per_s` over that of a plain simpy model of the same queue in the same run: one resource for each
  service, and the service of a request is one timeout. It knows no calls, adapters, deadlines or routing.
  `vs_simpy_steps` is over that of a simpy model whose workers make calls step by step, the first come first.
- `peak_mb`: the largest memory of the process of a case, `large` included.
- `growth`: processor time per request of `large` over that of `trace`.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator

import polars as pl
import simpy

from safelight.adapters.capacity import AdapterCapacity
from safelight.control.config import ControlConfig
from safelight.core.adapter import AdapterSpec, ControlNetUse, LoraUse
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.core.pixels import Pixels
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
from safelight.traces.synthesis.katz_template import SERVICES, KatzTemplate
from safelight.traces.synthesis.synthesize import SynthesisOptions, synthesize

STEPS, ROWS, SIDE = 50, 8, 1024
STEP_TIMES = ((1, 0.040), (2, 0.054), (4, 0.104), (8, 0.204))
ENCODE_S, DECODE_S = 0.0103, 0.167
SERVICE_S = STEPS * STEP_TIMES[-1][1] / (ROWS / 2) + ENCODE_S + DECODE_S
"""Seconds of a worker's time for a request in full calls."""

SOLO_S = STEPS * STEP_TIMES[1][1] + ENCODE_S + DECODE_S
DEADLINE_S = 20 * SOLO_S
KATZ = [KatzTemplate(service) for service in SERVICES]
REQUESTS, WORKERS = sum(each.requests for each in KATZ), sum(each.instances for each in KATZ)
LOADED_REQUESTS, LARGE_REQUESTS, LARGE_WORKERS = 100_000, 1_000_000, 10_000
LORA_BYTES, CONTROLNET_BYTES = 341_000_000, 2_500_000_000
CAPACITY = AdapterCapacity(host_bytes=200_000_000_000, device_ranks=512, device_controlnets=10)
TIERS = LoadTiers(
    remote=LoadCost(s_per_byte=1 / 2e9), disk=LoadCost(s_per_byte=1 / 4e9), host=LoadCost(s_per_byte=1 / 20e9)
)
DOT = Pixels(width=1, height=1, rgb=b"\0\0\0")


def model(service: str) -> ModelSpec:
    return ModelSpec(
        name=f"sdxl-{service}",
        family="sdxl",
        width=SIDE,
        height=SIDE,
        size_multiple=8,
        max_side=SIDE,
        steps=STEPS,
        guidance_scale=7.5,
        sampler="euler",
        samplers=("euler",),
        step_times=tuple(StepTime(denoiser_rows=rows, seconds=seconds) for rows, seconds in STEP_TIMES),
        encode_s=ENCODE_S,
        decode_s=DECODE_S,
        adapter_costs=AdapterCosts(switch_s=0.3, unmerged_overhead=.08, correction_overhead=.08),
    )


def trace(requests: int, workers: int, load: float | None, seed: int) -> pl.DataFrame:
    """Return a Katz-like trace; its rate gives the workers `load`, or is the published one of each worker."""
    published = sum(each.rate for each in KATZ) * workers / WORKERS
    scale = 1.0
    if load is not None:
        scale = load * workers / SERVICE_S / published
    options = SynthesisOptions(requests=requests, instances=workers, rate_scale=scale)
    return synthesize(KATZ, options, seed=seed).select("service", "instance", "arrival_s", "controlnets", "loras")


def workers_of(table: pl.DataFrame) -> tuple[SimulatedWorker, ...]:
    models = {
        service: SimulatedModel(spec=model(service), profile=Profile.from_spec(model(service))) for service in SERVICES
    }
    pairs = table.select("service", "instance").unique().sort("service", "instance").iter_rows()
    return tuple(
        SimulatedWorker(
            name=instance,
            models=(models[service],),
            max_denoiser_rows=ROWS,
            adapter_capacity=CAPACITY,
            load_tiers=TIERS,
        )
        for service, instance in pairs
    )


def adapters_of(table: pl.DataFrame) -> tuple[SimulatedAdapter, ...]:
    found = []
    for kind in ("controlnets", "loras"):
        names = table.select("service", pl.col(kind).list.eval(pl.element().struct.field("name"))).explode(kind)
        found += [(*row, kind) for row in names.drop_nulls().unique().sort("service", kind).iter_rows()]
    return tuple(
        SimulatedAdapter(
            spec=AdapterSpec(
                name=name,
                kind="lora" if kind == "loras" else "controlnet",
                model=f"sdxl-{service}",
                weights_bytes=LORA_BYTES if kind == "loras" else CONTROLNET_BYTES,
                ranks=(32,) if kind == "loras" else (),
                parts=("unet",),
            ),
            tier="remote" if kind == "loras" else "disk",
        )
        for service, name, kind in found
    )


def requests_of(table: pl.DataFrame) -> Iterator[ImageRequest]:
    """Yield the requests in order of arrival."""
    number = 0
    for part in table.iter_slices(10_000):
        for service, _, arrival_s, controlnets, loras in part.iter_rows():
            number += 1
            yield ImageRequest(
                id=f"r{number}",
                prompt="",
                width=SIDE,
                height=SIDE,
                seed=number,
                arrived_s=arrival_s,
                model=f"sdxl-{service}",
                controlnets=tuple(ControlNetUse(name=each["name"], scale=1.0, image=DOT) for each in controlnets),
                loras=tuple(LoraUse(name=each["name"], scale=1.0) for each in loras),
                deadline_s=DEADLINE_S if number % 2 else None,
            )


def simulated(requests: int, workers: int, load: float | None, seed: int) -> dict[str, float]:
    table = trace(requests, workers, load, seed)
    simulation = Simulation(
        workers=workers_of(table),
        adapters=adapters_of(table),
        requests=requests_of(table),
        control=ControlConfig(max_waiting=max(1000, 2 * workers)),
        seed=seed,
    )
    finished = 0

    def note(outcome) -> None:
        nonlocal finished
        finished += outcome.status == "finished"

    began_s = time.process_time()
    run = simulate(simulation, on_outcome=note)
    took_s = time.process_time() - began_s
    return {
        "requests": run.ended,
        "workers": workers,
        "requests_per_s": round(run.ended / took_s),
        "seconds": round(took_s, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "simulated": {
            "finished": finished,
            "seconds": round(run.end_s),
            "busy": round(run.busy_s / run.worker_s, 3),
            "events": run.events,
            "ticks": run.ticks,
            "adapter_loads": run.adapter_loads,
        },
    }


def plain_simpy(table: pl.DataFrame) -> float:
    """Return requests a second of a simpy model in which a service is one timeout."""
    world = simpy.Environment()
    servers = workers_by_service(table)
    resources = {service: simpy.Resource(world, capacity=count * ROWS // 2) for service, count in servers.items()}
    service_s = ROWS / 2 * SERVICE_S

    def paint(resource_):
        with resource_.request() as turn:
            yield turn
            yield world.timeout(service_s)

    def arrive():
        for service, arrival_s in table.select("service", "arrival_s").iter_rows():
            if arrival_s > world.now:
                yield world.timeout(arrival_s - world.now)
            world.process(paint(resources[service]))

    return timed(world, arrive(), len(table))


def stepwise_simpy(table: pl.DataFrame) -> float:  # noqa: C901 - the processes share one world
    """Return requests a second of a simpy model whose workers make calls over the first rows of one queue."""
    world = simpy.Environment()
    queues = {service: deque() for service in SERVICES}
    idle = {service: deque() for service in SERVICES}
    times = dict(STEP_TIMES) | {6: 0.154}

    def work(service):
        queue, rows = queues[service], []
        while True:
            if not queue and not rows:
                wake = world.event()
                idle[service].append(wake)
                yield wake
            while queue and len(rows) < ROWS // 2:
                rows.append(queue.popleft())
                yield world.timeout(ENCODE_S)
            if rows:
                yield world.timeout(times[2 * len(rows)])
                rows = [left - 1 for left in rows]
                done = rows.count(0)
                if done:
                    rows = [left for left in rows if left]
                    yield world.timeout(done * DECODE_S)

    def arrive():
        for service, arrival_s in table.select("service", "arrival_s").iter_rows():
            if arrival_s > world.now:
                yield world.timeout(arrival_s - world.now)
            queues[service].append(STEPS)
            if idle[service]:
                idle[service].popleft().succeed()

    for service, count in workers_by_service(table).items():
        for _ in range(count):
            world.process(work(service))
    return timed(world, arrive(), len(table))


def workers_by_service(table: pl.DataFrame) -> dict[str, int]:
    return dict(table.group_by("service").agg(pl.col("instance").n_unique()).sort("service").iter_rows())


def timed(world: simpy.Environment, arrivals, requests: int) -> float:
    began_s = time.process_time()
    world.process(arrivals)
    world.run()
    return requests / (time.process_time() - began_s)


def case(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    seed, load = arguments.seed, arguments.load
    if name == "large":
        return simulated(arguments.large_requests, arguments.large_workers, None, seed)
    if name == "loaded":
        return simulated(arguments.loaded_requests, arguments.workers, load, seed)
    if name == "trace":
        return simulated(arguments.requests, arguments.workers, None, seed)
    table = trace(arguments.requests, arguments.workers, None, seed)
    measure = plain_simpy if name == "simpy" else stepwise_simpy
    return {"requests": len(table), "requests_per_s": round(measure(table))}


def in_own_process(name: str) -> dict[str, float]:
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, *sys.argv[1:], "--case", name]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(f"{found['requests_per_s']:,} requests/s", file=sys.stderr)
    return found


CASES = ("trace", "loaded", "large", "simpy", "simpy_steps")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of the case `trace` and of simpy")
    parser.add_argument("--loaded-requests", type=int, default=LOADED_REQUESTS)
    parser.add_argument("--workers", type=int, default=WORKERS, help="of the cases `trace` and `loaded`")
    parser.add_argument("--large-requests", type=int, default=LARGE_REQUESTS, help="such as 10000000")
    parser.add_argument("--large-workers", type=int, default=LARGE_WORKERS)
    parser.add_argument("--load", type=float, default=0.7, help="of what full calls make")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", choices=CASES, help="only this one")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(case(arguments.case, arguments)))
        return
    cases = {name: in_own_process(name) for name in CASES}
    rate = cases["trace"]["requests_per_s"]
    metrics = {
        "requests_per_s": rate,
        "loaded_requests_per_s": cases["loaded"]["requests_per_s"],
        "vs_simpy": round(rate / cases["simpy"]["requests_per_s"], 3),
        "vs_simpy_steps": round(rate / cases["simpy_steps"]["requests_per_s"], 3),
        "peak_mb": max(each.get("peak_mb", 0) for each in cases.values()),
        "growth": round(rate / cases["large"]["requests_per_s"], 2),
        "cases": cases,
    }
    if arguments.json:
        print(json.dumps(metrics))
        return
    for name in ("requests_per_s", "loaded_requests_per_s", "vs_simpy", "vs_simpy_steps", "peak_mb", "growth"):
        print(f"{name:24}{metrics[name]:>12,}")


if __name__ == "__main__":
    main()
