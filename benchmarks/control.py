"""What the fleet's controller costs: events per second in the mix of a served load, by waiting requests and workers.

One event is one call of `FleetController.handle`: a request arrives, is started, takes part in 25 ticks and is
finished; its assignment is a command that one of these calls returns. The fleet is kept full and the queue at its
length: whenever a request ends, another one arrives. Half of the requests have deadlines, a few carry LoRAs.

- `events_per_s`: with 1,000 workers and 1,000 waiting requests.
- `growth`: of the time per event from 100 to 100,000 waiting requests, with 16 workers.
- `refusal_us_p50`, `refusal_us_p99`: microseconds of processor time of one refusal, in the worst of these cases:
  1 worker and 148 waiting requests, 16 workers and 148, 16 workers and 10,000. Deadlines mix; the newcomer's is too
  short, or it would make an accepted one late; some come alone, others in groups of four. Each case is in `refusals`.
"""

import argparse
import gc
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from safelight.control.commands import Reject, Send
from safelight.control.config import ControlConfig
from safelight.control.events import AdapterOffered, Arrived, Reported, WorkerJoined
from safelight.control.fleet import FleetController
from safelight.core.adapter import AdapterSpec, LoraUse
from safelight.core.model import AdapterCosts, ModelSpec, StepTime
from safelight.core.pixels import Pixels
from safelight.core.request import ImageRequest
from safelight.core.work import AdapterAdded, AddAdapter, Finished, Ready, Run, Started, Ticked

STEPS = 25
ROWS = 8
TICK_S = 0.03
SIDE = 512
WAITING = (100, 1_000, 10_000, 100_000)
WORKERS = (1, 16, 1_000)
EVENTS = 60_000
LORAS = 8
LORA_SHARE = 0.05
GROWTH_WORKERS = 16
REFUSAL_CASES = ((1, 148), (16, 148), (16, 10_000))
REFUSALS = 2_000

PIXELS = Pixels(width=1, height=1, rgb=bytes(3))
MODEL = ModelSpec(
    name="model",
    family="sd",
    width=SIDE,
    height=SIDE,
    size_multiple=8,
    max_side=2 * SIDE,
    steps=STEPS,
    guidance_scale=7.5,
    sampler="euler",
    samplers=("euler",),
    step_times=tuple(StepTime(denoiser_rows=rows, seconds=TICK_S * (1 + rows) / 2) for rows in (1, 2, 4, 8)),
    encode_s=0.005,
    decode_s=0.02,
    adapter_costs=AdapterCosts(switch_s=0.02, unmerged_overhead=0.5, correction_overhead=0.6),
)


@dataclass
class Load:
    """A full fleet and the requests that keep it so."""

    waiting: int
    workers: int
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    now: float = 0.0
    events: int = 0
    seconds: float = 0.0
    refused: int = 0

    def __post_init__(self) -> None:
        self.controller = FleetController(ControlConfig(max_waiting=2 * self.waiting + 100))
        self.running: dict[str, deque[str]] = {f"w{number}": deque() for number in range(self.workers)}
        self.numbers = count()
        ready = Ready(models=(MODEL,), max_denoiser_rows=ROWS)
        for worker in self.running:
            self.handle(WorkerJoined(worker, ready))
        for number in range(LORAS):
            self.offer(f"lora-{number}")
        while self.controller.waiting_count < self.waiting:
            self.arrive()

    def offer(self, name: str) -> None:
        commands = self.controller.handle(AdapterOffered(name, name, "path"), self.now)
        handle = next(each.command.handle for each in commands if isinstance(each.command, AddAdapter))
        spec = AdapterSpec(name=name, kind="lora", model=MODEL.name, weights_bytes=10_000_000, ranks=(16,))
        self.handle(Reported(next(iter(self.running)), AdapterAdded(handle=handle, spec=spec)))

    def handle(self, event) -> None:
        began_s = time.perf_counter()
        commands = self.controller.handle(event, self.now)
        self.seconds += time.perf_counter() - began_s
        self.events += 1
        for command in commands:
            if isinstance(command, Send):
                if isinstance(command.command, Run):
                    self.running[command.worker].append(command.command.job.id)
            elif type(command).__name__ == "Reject":
                self.refused += 1

    def arrive(self) -> None:
        """One request; one in two has a deadline that the queue leaves time for."""
        number = next(self.numbers)
        loras = (LoraUse(name=f"lora-{number % LORAS}", scale=1.0),) if self.rng.random() < LORA_SHARE else ()
        backlog_s = 4 * TICK_S * STEPS * (self.controller.waiting_count + ROWS * self.workers) / self.workers
        deadline_s = (2 + self.rng.random()) * (backlog_s + 10) if number % 2 else None
        request = ImageRequest(
            id=f"r{number}",
            prompt="a picture",
            width=SIDE,
            height=SIDE,
            seed=number,
            arrived_s=self.now,
            deadline_s=deadline_s,
            loras=loras,
        )
        self.handle(Arrived((request,)))

    def serve_one(self, worker: str) -> None:
        """Run the oldest request of a worker to its end, and have another one arrive."""
        name = self.running[worker].popleft()
        self.handle(Reported(worker, Started(request_id=name)))
        for _ in range(STEPS):
            self.now += TICK_S / self.workers
            ticked = Ticked(
                model=MODEL.name,
                width=SIDE,
                height=SIDE,
                denoiser_rows=2,
                seconds=TICK_S,
                plain_s=TICK_S,
                request_ids=(name,),
            )
            self.handle(Reported(worker, ticked))
        self.handle(Reported(worker, Finished(request_id=name, picture=PIXELS, compute_s=1.0, prompt_tokens=3)))
        while self.controller.waiting_count < self.waiting:
            self.arrive()

    def measure(self, events: int) -> float:
        """Return seconds per event."""
        self.events, self.seconds = 0, 0.0
        names = list(self.running)
        while self.events < events:
            worker = self.rng.choice(names)
            if self.running[worker]:
                self.serve_one(worker)
        return self.seconds / self.events


def refusals(waiting: int, workers: int, count_: int) -> dict[str, float]:
    """Fill a queue until deadlines of many lengths are refused, and time refusals."""
    rng = random.Random(2)
    load = Load(waiting=0, workers=workers)
    load.controller = FleetController(ControlConfig(max_waiting=2 * waiting + 100))
    ready = Ready(models=(MODEL,), max_denoiser_rows=ROWS)
    for worker in load.running:
        load.handle(WorkerJoined(worker, ready))
    backlog_s = TICK_S * (1 + ROWS) / 2 * STEPS * (waiting / ROWS / workers + 2)
    while load.controller.waiting_count < waiting:
        number = next(load.numbers)
        deadline_s = rng.uniform(1.0, 3.0) * backlog_s if number % 8 else None
        load.handle(Arrived((asked(number, load.now, deadline_s),)))
    took_us = []
    for number in range(count_):
        load.now += 0.001
        group = 4 if number % 4 == 0 else 1
        deadline_s = rng.uniform(0.02, 0.6) * backlog_s
        requests = tuple(asked(next(load.numbers), load.now, deadline_s) for _ in range(group))
        began_s = time.thread_time()
        commands = load.controller.handle(Arrived(requests), load.now)
        seconds = time.thread_time() - began_s
        if commands and all(isinstance(command, Reject) for command in commands):
            took_us.append(1e6 * seconds)
    took_us.sort()
    p50, p99 = (took_us[int(share * (len(took_us) - 1))] for share in (0.5, 0.99))
    print(f"{workers:>6} workers {waiting:>7} waiting {p50:>9,.0f} us a refusal, p99 {p99:,.0f}", file=sys.stderr)
    return {
        "workers": workers,
        "waiting": waiting,
        "refusals": len(took_us),
        "refusal_us_p50": round(p50, 1),
        "refusal_us_p99": round(p99, 1),
    }


def asked(number: int, now: float, deadline_s: float | None) -> ImageRequest:
    return ImageRequest(
        id=f"r{number}",
        prompt="a picture",
        width=SIDE,
        height=SIDE,
        seed=number,
        arrived_s=now,
        deadline_s=deadline_s,
    )


def measured(waiting: int, workers: int, events: int) -> dict[str, float]:
    gc.collect()
    gc.freeze()
    load = Load(waiting=waiting, workers=workers)
    load.measure(events // 10)
    per_event_s = load.measure(events)
    print(f"{workers:>6} workers {waiting:>7} waiting {1 / per_event_s:>9,.0f} events/s", file=sys.stderr)
    return {"workers": workers, "waiting": waiting, "events_per_s": round(1 / per_event_s), "refused": load.refused}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--events", type=int, default=EVENTS, help="events that are timed in each case")
    arguments = parser.parse_args()
    cases = [measured(waiting, workers, arguments.events) for workers in WORKERS for waiting in WAITING]
    refused = [refusals(waiting, workers, REFUSALS) for workers, waiting in REFUSAL_CASES]
    rates = {(case["workers"], case["waiting"]): case["events_per_s"] for case in cases}
    metrics = {
        "events_per_s": rates[1_000, 1_000],
        "growth": round(rates[GROWTH_WORKERS, 100] / rates[GROWTH_WORKERS, 100_000], 2),
        "refusal_us_p50": max(case["refusal_us_p50"] for case in refused),
        "refusal_us_p99": max(case["refusal_us_p99"] for case in refused),
        "refusals": refused,
        "cases": cases,
    }
    if arguments.json:
        print(json.dumps(metrics))
        return
    print(f"{metrics['events_per_s']:,} events/s, growth {metrics['growth']}")
    print(f"a refusal takes {metrics['refusal_us_p50']} us, p99 {metrics['refusal_us_p99']}")


if __name__ == "__main__":
    main()
