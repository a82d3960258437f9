"""What a control service costs and saves: ControlNets beside the model of each worker, or once in a process for all.

One and two workers, as the server starts them, paint the same pictures of `shapes-large`, each steered by `edges`, all
requests being there from the start. Each process has one torch thread. The two set-ups take turns.

- `pictures_per_s`: of all workers together; `cpu_s_per_picture`: what all processes compute for one.
- `tick_ms`: of ticks with as many denoiser rows as most of them have (`denoiser_rows`), the tenth percentile, which
  other programs on the machine disturb least.
- `weights_bytes`: of ControlNets, in all processes; `rss_bytes`: resident memory of all processes, libraries included.
- `tick_bytes` cross the socket in one such tick; packing, sending and unpacking them takes `tick_copies_ms`. For
  100 MB, about what one SDXL row of 1024 x 1024 pixels gets from a ControlNet in single precision,
  it takes `copies_100_mb_ms`.
"""

import argparse
import json
import logging
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
import numpy as np
import torch

import safelight
from safelight.core.adapter import AdapterHandle, AdapterSpec, ControlNetUse
from safelight.core.frames import decode_event, frame, read_body
from safelight.core.job import Job
from safelight.core.model import ModelSpec
from safelight.core.pixels import Pixels
from safelight.core.work import AdapterAdded, AddAdapter, Failed, Finished, Ready, Run, Ticked, WorkerEvent
from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.controlnets.local import LocalControlNet
from safelight.diffusion.families.residuals import Residuals
from safelight.diffusion.families.stable_diffusion_3 import STABLE_DIFFUSION_3
from safelight.diffusion.paint import make_job
from safelight.diffusion.placement import ON_CPU
from safelight.local.launch import controlnet_service_argv, worker_argv
from safelight.shapes.caption import caption_of
from safelight.shapes.controls import CONTROLS
from safelight.shapes.sampling import draw_scene
from safelight.worker.controlnet_service.messages import (
    Compute,
    Computed,
    decode_request,
    decode_response,
    pack_inputs,
    pack_residuals,
    unpack_inputs,
    unpack_residuals,
)

MODELS = Path(safelight.__file__).parent / "models"
MODEL, NAME = MODELS / "shapes-large", "edges"
HANDLE = AdapterHandle(name=NAME, generation=1)
FOLDER = MODELS / "adapters" / NAME
REQUESTS = 16
SEED = 1
RESIDENT = re.compile(r"VmRSS:\s+(\d+) kB")
HUNDRED_MB = 100_000_000


class Process:
    """A worker or a control service, with what it says."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self.ready = next(self._events(Ready))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    @property
    def rss_bytes(self) -> int:
        """Resident memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (kilobytes,) = RESIDENT.findall(status)
        return int(kilobytes) * 1024

    @property
    def cpu_s(self) -> float:
        """Seconds that it has computed, in its own code and in the system's."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def add(self) -> AdapterSpec:
        """Have a worker read the ControlNet."""
        self._send(AddAdapter(handle=HANDLE, path=str(FOLDER)))
        return next(self._events(AdapterAdded)).spec

    def paint(self, jobs: Sequence[Job]) -> list[Ticked]:
        """Have a worker paint all of these; returns its ticks."""
        for job in jobs:
            self._send(Run(job=job))
        ticks, finished = [], 0
        for event in self._events(WorkerEvent):
            match event:
                case Failed(message=message):
                    raise SystemExit(message)
                case Ticked():
                    ticks.append(event)
                case Finished():
                    finished += 1
                    if finished == len(jobs):
                        break
        return ticks

    def _send(self, command: msgspec.Struct) -> None:
        self._input.write(frame(command))
        self._input.flush()

    def _events(self, kind: type) -> Iterator[WorkerEvent]:
        while (body := read_body(self._output)) is not None:
            if isinstance(event := decode_event(body), kind):
                yield event
        raise SystemExit("a process has ended")


@dataclass
class Setup:
    """Workers that run, perhaps with a control service, and what was measured of them."""

    workers: list[Process]
    service: Process | None
    net_bytes: int
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    ticks: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def start(cls, stack: ExitStack, *, workers: int, has_service: bool) -> "Setup":
        """Start the processes; `stack` ends them."""
        options, service = (), None
        if has_service:
            address = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "controls")
            service = stack.enter_context(Process((*controlnet_service_argv("--threads", "1"), "--socket", address)))
            options = ("--control-service", address)
        argv = worker_argv([MODEL], "--threads", "1", *options)
        running = [stack.enter_context(Process(argv)) for _ in range(workers)]
        (net_bytes,) = {worker.add().weights_bytes for worker in running}
        return cls(running, service, net_bytes)

    @property
    def model(self) -> ModelSpec:
        """The served model."""
        return self.workers[0].ready.models[0]

    @property
    def processes(self) -> list[Process]:
        """All of them."""
        return [*self.workers, *([self.service] if self.service else [])]

    def paint(self, jobs: Sequence[Job]) -> None:
        """Paint all jobs on each worker, and note the times."""
        before_s, started_s = self._cpu_s, time.perf_counter()
        with ThreadPoolExecutor(len(self.workers)) as pool:
            per_worker = list(pool.map(Process.paint, self.workers, [jobs] * len(self.workers)))
        self.seconds.append(time.perf_counter() - started_s)
        self.cpu_s.append(self._cpu_s - before_s)
        for tick in (tick for ticks in per_worker for tick in ticks):
            self.ticks[tick.denoiser_rows].append(tick.seconds)

    @property
    def _cpu_s(self) -> float:
        return sum(process.cpu_s for process in self.processes)

    def tick_ms(self, rows: int) -> float:
        """Return what a tick of so many denoiser rows takes when little disturbs it."""
        return 1000 * float(np.quantile(self.ticks[rows], 0.1))

    @property
    def cpu_ms_per_tick(self) -> float:
        """Return what all processes compute, over all ticks."""
        return 1000 * sum(self.cpu_s) / sum(map(len, self.ticks.values()))

    def summary(self, requests: int) -> dict[str, float]:
        """Return the metrics."""
        rows, pictures = usual_rows(self.ticks), len(self.workers) * requests
        return {
            "pictures_per_s": pictures / statistics.median(self.seconds),
            "cpu_s_per_picture": statistics.median(self.cpu_s) / pictures,
            "tick_ms": self.tick_ms(rows),
            "denoiser_rows": rows,
            "weights_bytes": self.net_bytes * (1 if self.service else len(self.workers)),
            "rss_bytes": sum(process.rss_bytes for process in self.processes),
        }


def usual_rows(ticks: dict[int, list[float]]) -> int:
    """Return how many denoiser rows most ticks have."""
    return Counter({rows: len(seconds) for rows, seconds in ticks.items()}).most_common(1)[0][0]


def draw_jobs(model: ModelSpec, count: int) -> list[Job]:
    """Return jobs with a scene each, and its line drawing to steer them."""
    rng = np.random.default_rng(SEED)
    jobs = []
    for number in range(count):
        scene = draw_scene(rng, objects=1 + number % 2)
        height, width, _ = (drawing := CONTROLS[NAME](scene)).shape
        picture = Pixels(width=width, height=height, rgb=drawing.tobytes())
        plain = make_job([model], caption_of(scene.description), model=model.name, seed=number)
        use = ControlNetUse(name=NAME, scale=1.0, image=picture)
        request = msgspec.structs.replace(plain.request, id=f"row-{number}", controlnets=(use,))
        jobs.append(msgspec.structs.replace(plain, request=request, adapters=(HANDLE,)))
    return jobs


def draw_call(rows: int) -> tuple[ControlNetInputs, Residuals]:
    """Return what one tick of so many rows sends and gets."""
    family = STABLE_DIFFUSION_3.load(MODEL, placement=ON_CPU)
    net = LocalControlNet.load(FOLDER, family.controlnet_base, placement=ON_CPU)
    (conditioning,) = family.encode(["a large red circle"])
    latents = torch.randn(rows, *family.latent_shape(*family.native_size))
    assert conditioning.pooled is not None
    inputs = ControlNetInputs(
        latents=latents,
        times=torch.full((rows,), 500.0),
        contexts=conditioning.context.expand(rows, -1, -1),
        pooled=conditioning.pooled.expand(rows, -1),
        guidance=torch.ones(rows),
        hints=torch.randn_like(latents),
        scales=torch.ones(rows),
    )
    return inputs, net(inputs)


def copies_ms(inputs: ControlNetInputs, residuals: Residuals, *, tries: int = 9) -> float:
    """Return the fewest milliseconds of a round trip over a Unix socket of these, with nothing computed."""
    mine, its = socket.socketpair(socket.AF_UNIX)
    with mine, its, mine.makefile("rb") as answers, its.makefile("rb") as questions:
        # A process, as the service is one: threads of one process would wait for each other's turn.
        answering = get_context("fork").Process(target=_answer, args=(its, questions, residuals))
        answering.start()
        taken = []
        for _ in range(tries):
            started_s = time.perf_counter()
            mine.sendall(frame(Compute(number=1, tensors=pack_inputs(inputs))))
            unpack_residuals(decode_response(read_body(answers)).tensors, device=torch.device("cpu"))
            taken.append(time.perf_counter() - started_s)
        mine.shutdown(socket.SHUT_RDWR)
        answering.join()
    return 1000 * min(taken)


def _answer(connection: socket.socket, questions: BinaryIO, residuals: Residuals) -> None:
    while (body := read_body(questions)) is not None:
        unpack_inputs(decode_request(body).tensors, device=torch.device("cpu"))
        connection.sendall(frame(Computed(number=1, tensors=pack_residuals(residuals))))


def measure(rounds: int, count: int) -> dict[str, object]:
    """Run both set-ups in turn with one worker and with two, and return all metrics."""
    metrics: dict[str, object] = {"requests_per_worker": count}
    rows = 0
    for workers in (1, 2):
        with ExitStack() as stack:
            local = Setup.start(stack, workers=workers, has_service=False)
            served = Setup.start(stack, workers=workers, has_service=True)
            paint_in_turn({"local": local, "service": served}, draw_jobs(local.model, count), rounds)
            rows = usual_rows(local.ticks)
            here, there = local.summary(count), served.summary(count)
            metrics[f"workers_{workers}"] = {
                "local": here,
                "service": there,
                "vs_local": there["pictures_per_s"] / here["pictures_per_s"],
                "added_ms_per_tick": served.tick_ms(rows) - local.tick_ms(rows),
                "added_cpu_ms_per_tick": served.cpu_ms_per_tick - local.cpu_ms_per_tick,
            }
    with torch.inference_mode():
        inputs, residuals = draw_call(rows)
        return metrics | {
            "tick_bytes": len(pack_inputs(inputs)) + len(pack_residuals(residuals)),
            "tick_copies_ms": copies_ms(inputs, residuals),
            "copies_100_mb_ms": copies_ms(inputs, Residuals(early=(torch.ones(HUNDRED_MB // 4),))),
        }


def paint_in_turn(setups: Mapping[str, Setup], jobs: Sequence[Job], rounds: int) -> None:
    """Measure `rounds` rounds of each set-up, after one that warms up."""
    for turn in range(rounds + 1):
        for name, setup in setups.items():
            setup.paint(jobs)
            print(f"{len(setup.workers)} workers, round {turn}: {name} {setup.seconds[-1]:.2f} s", file=sys.stderr)
            if not turn:
                setup.seconds.clear()
                setup.cpu_s.clear()
                setup.ticks.clear()


def main() -> None:
    """Print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="requests for each worker")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    metrics = measure(arguments.rounds, arguments.requests)
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        for name, value in metrics.items():
            print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
