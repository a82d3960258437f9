"""Pictures per second with LoRAs, side by side: diffusers in two ways, and this engine in each of its modes.

The mix is drawn like services A and B of the Katz trace (Li et al., USENIX ATC 2025): how many LoRAs and ControlNets a
request carries, how skewed the LoRAs' popularity is, and that pairs are used again as pairs. All requests are there
from the start. Everything runs on `shapes-large` with its served steps and guidance, on one torch thread:

- `fuse_per_request`: diffusers loads and fuses the LoRAs of a request, paints it, and unfuses and unloads.
- `set_adapters`: diffusers with all LoRAs resident paints requests of equal LoRAs and ControlNets in one call each.
- `unmerged`, `merged`, `corrected`, `choosing`, `dlora`: this engine; the last two choose the mode tick by tick, by
  measured payback and as dLoRA does (Wu et al., OSDI 2024).
- `no_adapters`: this engine with the same requests and ControlNets and no LoRAs, which is the limit.

ControlNets are resident for everyone.

Cold LoRAs are neither on the device nor in host memory when a request for one comes; their files are in the system's
page cache. `cold_first_step_s` is the time from such a request to its first step in an idle worker, and
`cold_first_step_async_s` the same for a picture that may begin before its LoRA is there.

The peers have the engine's own attention, so that they do not pay for 256 equal tokens; `stock` is the first of them
without it.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec
import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    SD3ControlNetModel,
    SD3MultiControlNetModel,
    StableDiffusion3ControlNetPipeline,
    StableDiffusion3Pipeline,
)
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

import safelight
from safelight.adapters.modes import adapter_mode_named
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterUse, ControlNetUse, LoraUse, composition_of
from safelight.core.frames import frame
from safelight.core.job import Job
from safelight.core.pixels import Pixels
from safelight.core.work import (
    AdapterAdded,
    AdapterRefused,
    AddAdapter,
    Cancel,
    Finished,
    RemoveAdapter,
    Run,
    Stop,
    Ticked,
    WorkerEvent,
)
from safelight.diffusion.engine import AdapterWeights, DiffusionEngine
from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.stable_diffusion_3 import T5_TOKENS
from safelight.diffusion.paint import make_job
from safelight.local.adapter_folder import find_adapters
from safelight.shapes.caption import caption_of
from safelight.shapes.controls import CONTROLS
from safelight.shapes.sampling import draw_scene
from safelight.worker.loop import Inbox, WorkerLoop

MODELS = Path(safelight.__file__).parent / "models"
MODEL = MODELS / "shapes-large"
REQUESTS = 32
AT_ONCE = 16
SCALES = (0.6, 0.8, 1.0)
SEED = 1
GRACE_STEPS = 10
COLD_TRIES = 5

LORA_COUNTS = {"A": (0.002, 0.088, 0.910), "B": (0.072, 0.736, 0.192)}
"""Shares of requests with none, one and two LoRAs (Katz, table 1)."""

CONTROL_COUNTS = {"A": (0.0, 0.305, 0.695), "B": (0.019, 0.251, 0.730)}
"""Shares of requests with none, one and two ControlNets; B's few with three count as two, since there are two here."""

FIRST_CONTROL_SHARE = 0.7
"""How often it is the first of the ControlNets that comes alone."""

POPULARITY = {"A": (0.98, 2.0), "B": (1.18, 0.2)}
"""Zipf-Mandelbrot exponent and offset fitted to the trace's cumulative popularity."""

MODES = {
    "unmerged": "always-unmerged",
    "merged": "always-merged",
    "corrected": "always-corrected",
    "choosing": "payback",
    "dlora": "dlora-credit",
}


def handle_of(name: str) -> AdapterHandle:
    """Return what the engine calls an adapter."""
    return AdapterHandle(name=name, generation=1)


def draw_mix(names: Sequence[str], count: int, rng: np.random.Generator) -> list[tuple[LoraUse, ...]]:
    """Return the LoRAs of each request, services A and B in turn; each pair and each LoRA has a scale of its own."""
    scales: dict[tuple[str, ...], float] = {}
    mix = []
    for number in range(count):
        service = "AB"[number % 2]
        exponent, offset = POPULARITY[service]
        weights = (np.arange(1, len(names) + 1) + offset) ** -exponent
        many = rng.choice(3, p=LORA_COUNTS[service])
        # The first LoRA decides which one comes with it: in the trace, whole pairs come back.
        first = int(rng.choice(len(names), p=weights / weights.sum()))
        chosen = tuple(names[(first + step) % len(names)] for step in range(many))
        mix.append(
            tuple(
                LoraUse(name=name, scale=scales.setdefault((*chosen, name), float(rng.choice(SCALES))))
                for name in chosen
            )
        )
    return mix


@dataclass(frozen=True, kw_only=True)
class MixedRequest:
    """One request of the mix; `controls` are the control pictures, (64, 64, 3) bytes, by ControlNet."""

    number: int
    prompt: str
    loras: tuple[LoraUse, ...]
    controls: Mapping[str, NDArray[np.uint8]]

    @property
    def alike(self) -> tuple[object, ...]:
        """What requests must have in common for diffusers to paint them in one call."""
        return self.loras, tuple(self.controls)


def draw_requests(names: Sequence[str], count: int, rng: np.random.Generator) -> list[MixedRequest]:
    """Return the mix: drawn scenes as captions and as control pictures, LoRAs, and how many ControlNets."""
    requests = []
    for number, loras in enumerate(draw_mix(names, count, rng)):
        scene = draw_scene(rng, objects=2)
        many = int(rng.choice(3, p=CONTROL_COUNTS["AB"[number % 2]]))
        alone = rng.choice(len(CONTROLS), p=[FIRST_CONTROL_SHARE, 1 - FIRST_CONTROL_SHARE])
        chosen = list(CONTROLS)[alone : alone + 1] if many == 1 else list(CONTROLS)[:many]
        controls = {kind: CONTROLS[kind](scene) for kind in chosen}
        requests.append(
            MixedRequest(number=number, prompt=caption_of(scene.description), loras=loras, controls=controls)
        )
    return requests


class Engine:
    """This engine behind the worker's own loop, messages included."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._engine = DiffusionEngine.load([MODEL], max_denoiser_rows=2 * AT_ONCE)
        self._paths = paths
        self.costs = self._engine.models[0].adapter_costs

    def resident_bytes(self) -> dict[str, int]:
        """Return what each adapter takes as read from its file."""
        return {name: self._engine.read_adapter(name, path)[0].weights_bytes for name, path in self._paths.items()}

    def first_step_s(self, prompt: str, *, name: str, grace_steps: int) -> float:
        """Return the seconds from a request for a cold LoRA to its first step."""
        inbox: Inbox = SimpleQueue()
        handle = handle_of(name)
        plain = self._job(MixedRequest(number=0, prompt=prompt, loras=(LoraUse(name=name, scale=1.0),), controls={}))
        request = msgspec.structs.replace(plain.request, grace_steps=grace_steps)
        job = msgspec.structs.replace(plain, request=request)
        started_s = seconds = 0.0

        def send(event: WorkerEvent) -> None:
            nonlocal started_s, seconds
            match event:
                case AdapterRefused(message=message):
                    raise SystemExit(message)
                case AdapterAdded():
                    started_s = time.perf_counter()
                    inbox.put(Run(job=job))
                case Ticked() if not seconds:
                    seconds = time.perf_counter() - started_s
                    for command in (Cancel(request_id=job.id), RemoveAdapter(handle=handle), Stop()):
                        inbox.put(command)

        inbox.put(AddAdapter(handle=handle, path=str(self._paths[name])))
        self._run(inbox, send, ReplicaConfig(max_denoiser_rows=2 * AT_ONCE))
        return seconds

    def load_s(self, name: str) -> float:
        """Return the seconds of bringing a LoRA from host memory to the device, which the worker does between ticks."""
        _, weights = self._engine.read_adapter(name, self._paths[name])
        started_s = time.perf_counter()
        self._engine.load_adapter(handle_of(name), weights)
        seconds = time.perf_counter() - started_s
        self._engine.evict_adapter(handle_of(name))
        return seconds

    def fold_s(self, name: str) -> tuple[float, float]:
        """Return the seconds of folding a LoRA into the weights, and of making them pristine again."""
        handle = handle_of(name)
        _, weights = self._engine.read_adapter(name, self._paths[name])
        self._engine.load_adapter(handle, weights)
        moments = [time.perf_counter()]
        for composition in (composition_of([AdapterUse(handle=handle, scale=1.0)]), NO_ADAPTERS):
            self._engine.fold(MODEL.name, composition)
            moments.append(time.perf_counter())
        self._engine.evict_adapter(handle)
        return moments[1] - moments[0], moments[2] - moments[1]

    def step_s(self, prompt: str) -> float:
        """Return the seconds of one step of one picture alone, without LoRAs."""
        job = self._job(MixedRequest(number=0, prompt=prompt, loras=(), controls={}))
        self._engine.begin([job])
        started_s = time.perf_counter()
        self._engine.step([job.id])
        seconds = time.perf_counter() - started_s
        self._engine.drop(job.id)
        return seconds

    def paint(self, requests: Sequence[MixedRequest], *, policy: str) -> float:
        """Return the seconds that all requests take, adapters being known beforehand."""
        inbox: Inbox = SimpleQueue()
        added: set[AdapterHandle] = set()
        jobs = [self._job(request) for request in requests]
        started_s = seconds = 0.0
        finished = 0

        def send(event: WorkerEvent) -> None:
            nonlocal started_s, seconds, finished
            frame(event)
            match event:
                case AdapterRefused(message=message):
                    raise SystemExit(message)
                case AdapterAdded(handle=handle):
                    added.add(handle)
                    if len(added) == len(self._paths):
                        started_s = time.perf_counter()
                        for job in jobs:
                            inbox.put(Run(job=job))
                case Finished():
                    finished += 1
                    if finished == len(jobs):
                        seconds = time.perf_counter() - started_s
                        for handle in added:
                            inbox.put(RemoveAdapter(handle=handle))
                        inbox.put(Stop())

        for name, path in self._paths.items():
            inbox.put(AddAdapter(handle=handle_of(name), path=str(path)))
        mode = adapter_mode_named(policy)
        self._run(inbox, send, ReplicaConfig(max_denoiser_rows=2 * AT_ONCE, adapter_mode=mode))
        return seconds

    def _run(self, inbox: Inbox, send: Callable[[WorkerEvent], None], config: ReplicaConfig) -> None:
        replica = ReplicaMachine.serving(self._engine.models, config=config)
        WorkerLoop(self._engine, replica, inbox=inbox, send=send).run()

    def _job(self, mixed: MixedRequest) -> Job:
        plain = make_job(self._engine.models, mixed.prompt, model=MODEL.name, seed=mixed.number)
        controlnets = (
            ControlNetUse(
                name=name,
                scale=1.0,
                image=Pixels(width=picture.shape[1], height=picture.shape[0], rgb=picture.tobytes()),
            )
            for name, picture in mixed.controls.items()
        )
        request = msgspec.structs.replace(
            plain.request, id=f"row-{mixed.number}", loras=mixed.loras, controlnets=tuple(controlnets)
        )
        return msgspec.structs.replace(plain, request=request, adapters=tuple(map(handle_of, request.adapters)))


class Diffusers:
    """diffusers' own pipelines with the same weights, sampler, steps, LoRAs and ControlNets."""

    def __init__(self, files: Mapping[str, Path], *, is_stock: bool) -> None:
        self._files = files
        # The shipped T5 answers zeros; without it, diffusers puts as many zeros as it is told.
        parts = {} if is_stock else {"text_encoder_3": None, "tokenizer_3": None}
        self._pipeline = StableDiffusion3Pipeline.from_pretrained(MODEL, dtype=torch.float32, **parts)
        self._pipeline.scheduler = DPMSolverMultistepScheduler(
            use_flow_sigmas=True,
            prediction_type="flow_prediction",
            flow_shift=self._pipeline.scheduler.config.shift,
        )
        self._nets = {
            kind: SD3ControlNetModel.from_pretrained(MODELS / "adapters" / kind, dtype=torch.float32)
            for kind in CONTROLS
        }
        settings = json.loads((MODEL / "safelight.json").read_text())
        self._settings = {"num_inference_steps": settings["steps"], "guidance_scale": settings["guidance_scale"]}
        if not is_stock:
            self._settings["max_sequence_length"] = 1
            for network in (self._pipeline.transformer, *self._nets.values()):
                for block in network.transformer_blocks:
                    block.attn.set_processor(CountedJointAttention(T5_TOKENS))

    def fuse_per_request(self, requests: Sequence[MixedRequest]) -> float:
        """Return the seconds of painting one request after another, each with its LoRAs loaded and fused for it."""
        started_s = time.perf_counter()
        for request in requests:
            if request.loras:
                self._load(request.loras)
                self._pipeline.fuse_lora()
            self._paint([request])
            if request.loras:
                self._pipeline.unfuse_lora()
                self._pipeline.unload_lora_weights()
        return time.perf_counter() - started_s

    def set_adapters(self, requests: Sequence[MixedRequest]) -> float:
        """Return the seconds of painting with all LoRAs resident, requests that are alike in one call each."""
        self._load([LoraUse(name=name, scale=1.0) for name in self._files])
        started_s = time.perf_counter()
        for start in range(0, len(requests), AT_ONCE):
            alike = defaultdict[tuple[object, ...], list[MixedRequest]](list)
            for request in requests[start : start + AT_ONCE]:
                alike[request.alike].append(request)
            for some in alike.values():
                self._choose(some[0].loras)
                self._paint(some)
        seconds = time.perf_counter() - started_s
        self._pipeline.unload_lora_weights()
        return seconds

    def _choose(self, uses: Sequence[LoraUse]) -> None:
        if uses:
            self._pipeline.enable_lora()
            self._pipeline.set_adapters([use.name for use in uses], [use.scale for use in uses])
        else:
            self._pipeline.disable_lora()

    def _load(self, uses: Sequence[LoraUse]) -> None:
        for use in uses:
            file = self._files[use.name]
            self._pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name=use.name)
        self._pipeline.set_adapters([use.name for use in uses], [use.scale for use in uses])

    def _paint(self, requests: Sequence[MixedRequest]) -> None:
        """Paint requests of equal LoRAs and ControlNets in one call."""
        pipeline, extra = self._steered(requests)
        pipeline.set_progress_bar_config(disable=True)
        generators = [torch.Generator().manual_seed(request.number) for request in requests]
        pipeline([request.prompt for request in requests], generator=generators, **self._settings, **extra)

    def _steered(self, requests: Sequence[MixedRequest]) -> tuple[Any, dict[str, Any]]:
        """Return the pipeline for the ControlNets of `requests`, made of the same parts, and its control pictures."""
        kinds = list(requests[0].controls)
        if not kinds:
            return self._pipeline, {}
        nets = SD3MultiControlNetModel([self._nets[kind] for kind in kinds])
        pictures = [[Image.fromarray(request.controls[kind]) for request in requests] for kind in kinds]
        pipeline = StableDiffusion3ControlNetPipeline(**self._pipeline.components, controlnet=nets)
        return pipeline, {"control_image": pictures, "controlnet_conditioning_scale": [1.0] * len(kinds)}


def write_for_diffusers(paths: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Write each LoRA as the single file that diffusers reads fastest."""
    engine = DiffusionEngine.load([MODEL], max_denoiser_rows=1, lora_ranks=0)
    files = {}
    for name, path in paths.items():
        weights: AdapterWeights = engine.read_adapter(name, path)[1]
        tensors = {}
        for component, part in weights.weights.parts.items():
            for module, change in part.items():
                tensors[f"{component}.{module}.lora_A.weight"] = change.down.clone()
                tensors[f"{component}.{module}.lora_B.weight"] = (change.up * change.scale).clone()
        files[name] = folder / f"{name}.safetensors"
        save_file(tensors, files[name])
    return files


def measure(rounds: int, count: int) -> dict[str, object]:
    """Run all contestants in turn, `rounds` times, and return medians and ratios."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    paths = {name: path for name, path in find_adapters([MODELS / "adapters"]).items() if name != "pastel-small"}
    loras = {name: path for name, path in paths.items() if name not in CONTROLS}
    requests = draw_requests(sorted(loras), count, rng)
    plain = [replace(request, loras=()) for request in requests]
    with tempfile.TemporaryDirectory() as folder:
        files = write_for_diffusers(loras, Path(folder))
        engine, peer = Engine(paths), Diffusers(files, is_stock=False)
        stock = Diffusers(files, is_stock=True)
        contestants: dict[str, Callable[[], float]] = {
            "fuse_per_request": lambda: peer.fuse_per_request(requests),
            "stock_fuse_per_request": lambda: stock.fuse_per_request(requests),
            "set_adapters": lambda: peer.set_adapters(requests),
            "stock_set_adapters": lambda: stock.set_adapters(requests),
            **{name: lambda policy=policy: engine.paint(requests, policy=policy) for name, policy in MODES.items()},
            "no_adapters": lambda: engine.paint(plain, policy="payback"),
        }
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        for turn in range(rounds):
            for name, work in contestants.items():
                taken[name].append(work())
                print(f"round {turn + 1} of {rounds}: {name} {taken[name][-1]:.2f} s", file=sys.stderr)
        cold: dict[int, list[float]] = {0: [], GRACE_STEPS: []}
        for name in list(loras) * COLD_TRIES:
            for grace_steps, seconds in cold.items():
                seconds.append(engine.first_step_s(requests[0].prompt, name=name, grace_steps=grace_steps))
        load_s = statistics.median(engine.load_s(name) for name in list(loras) * COLD_TRIES)
        step_s = statistics.median(engine.step_s(requests[0].prompt) for _ in list(loras) * COLD_TRIES)
        folds = [engine.fold_s(name) for name in list(loras) * COLD_TRIES]
        rates = {name: count / statistics.median(seconds) for name, seconds in taken.items()}
        return summarise(rates) | {
            "compositions": len({request.loras for request in requests}),
            "controlnets_per_request": sum(len(request.controls) for request in requests) / count,
            "requests": count,
            "switch_s": engine.costs.switch_s if engine.costs else None,
            "merge_s": statistics.median(merge_s for merge_s, _ in folds),
            "restore_s": statistics.median(restore_s for _, restore_s in folds),
            "cold_first_step_s": statistics.median(cold[0]),
            "cold_first_step_async_s": statistics.median(cold[GRACE_STEPS]),
            "load_to_device_s": load_s,
            "load_to_device_vs_step": load_s / step_s,
            "resident_bytes": engine.resident_bytes(),
        }


def summarise(rates: Mapping[str, float]) -> dict[str, object]:
    """Return what the engine's own choice is over each peer, and all rates."""
    return {
        "vs_fuse_per_request": rates["choosing"] / rates["stock_fuse_per_request"],
        "vs_set_adapters": rates["choosing"] / rates["stock_set_adapters"],
        "vs_fuse_per_request_counted": rates["choosing"] / rates["fuse_per_request"],
        "vs_set_adapters_counted": rates["choosing"] / rates["set_adapters"],
        "vs_no_adapters": rates["choosing"] / rates["no_adapters"],
    } | {f"{name}_per_s": rate for name, rate in rates.items()}


def main() -> None:
    """Print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="requests in the mix")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    metrics = measure(arguments.rounds, arguments.requests)
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        for name, value in metrics.items():
            print(f"{name:30} {value}")


if __name__ == "__main__":
    main()
