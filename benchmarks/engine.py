"""Pictures per second of this engine and of diffusers' own pipeline, side by side on the same weights.

Both run `shapes-large` with its served steps, guidance and sampler on one torch thread. The peer paints one request
after another, as its pipeline does, and, for orientation, all sixteen in one lock-step call. The stock pipeline reads
256 equal tokens in the place of a T5 encoder, where the engine reads one that counts for all; the peer called `counted`
is the same pipeline with the engine's attention, so that the two differ by nothing but batching.
"""

import argparse
import json
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusion3Pipeline
from torch import nn

import safelight
from safelight.control.replica.config import ReplicaConfig
from safelight.control.replica.machine import ReplicaMachine
from safelight.core.frames import frame
from safelight.core.work import Finished, Run, Stop, WorkerEvent
from safelight.diffusion.engine import LORA_RANKS, DiffusionEngine
from safelight.diffusion.families.joint_attention import CountedJointAttention
from safelight.diffusion.families.stable_diffusion_3 import T5_TOKENS
from safelight.diffusion.loading import load_model
from safelight.diffusion.paint import make_job
from safelight.worker.loop import Inbox, WorkerLoop

MODEL = Path(safelight.__file__).parent / "models" / "shapes-large"
MANY = 16
PROMPT = "a large red circle left of a small yellow star on a white background"


class ForwardClock:
    """Adds up the seconds spent inside the forward calls of some modules."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._entered_s = 0.0

    def watch(self, module: nn.Module) -> None:
        module.register_forward_pre_hook(self._enter)
        module.register_forward_hook(self._leave)

    def _enter(self, *_: Any) -> None:
        self._entered_s = time.perf_counter()

    def _leave(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._entered_s


def paint_here(engine: DiffusionEngine, count: int, seed: int) -> None:
    """Run `count` requests that arrive together through the worker's own loop, messages included."""
    inbox: Inbox = SimpleQueue()
    finished = 0

    def send(event: WorkerEvent) -> None:
        nonlocal finished
        frame(event)
        finished += isinstance(event, Finished)
        if finished == count:
            inbox.put(Stop())

    for number in range(count):
        inbox.put(Run(job=make_job(engine.models, PROMPT, model=MODEL.name, seed=seed + number)))
    replica = ReplicaMachine.serving(engine.models, config=ReplicaConfig(max_denoiser_rows=2 * MANY))
    WorkerLoop(engine, replica, inbox=inbox, send=send).run()


def paint_there(pipeline: StableDiffusion3Pipeline, settings: dict[str, Any], seeds: list[int]) -> None:
    """Paint one picture for each seed in one call of diffusers' pipeline."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    pipeline([PROMPT] * len(seeds), generator=generators, **settings)


def open_peer(**parts: None) -> StableDiffusion3Pipeline:
    """Return diffusers' own pipeline with the same weights and sampler, without the `parts` that are None."""
    pipeline = StableDiffusion3Pipeline.from_pretrained(MODEL, dtype=torch.float32, **parts)
    pipeline.scheduler = DPMSolverMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=pipeline.scheduler.config.shift
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seconds_of(work: Callable[[], None]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def measure(rounds: int) -> dict[str, float]:
    """Run all contestants in turn, `rounds` times, and return medians and ratios."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        model = load_model(MODEL, max_denoiser_rows=2 * MANY, lora_ranks=LORA_RANKS)
    engine = DiffusionEngine([model])
    clock = ForwardClock()
    for part in (*model.family.networks.values(), model.family.autoencoder._network.decoder):
        clock.watch(part)

    # The shipped T5 answers zeros; without it, diffusers puts as many zeros as it is told.
    pipeline, counted = open_peer(), open_peer(text_encoder_3=None, tokenizer_3=None)
    for block in counted.transformer.transformer_blocks:
        block.attn.set_processor(CountedJointAttention(T5_TOKENS))
    settings = {"num_inference_steps": model.spec.steps, "guidance_scale": model.spec.guidance_scale}

    contestants: dict[str, Callable[[int], None]] = {
        "engine_1": lambda seed: paint_here(engine, 1, seed),
        "diffusers_1": lambda seed: paint_there(pipeline, settings, [seed]),
        "engine_16": lambda seed: paint_here(engine, MANY, seed),
        "diffusers_16_in_turn": lambda seed: (
            [paint_there(pipeline, settings, [seed + number]) for number in range(MANY)] and None
        ),
        "counted_1": lambda seed: paint_there(counted, settings | {"max_sequence_length": 1}, [seed]),
        "counted_16_in_turn": lambda seed: (
            [paint_there(counted, settings | {"max_sequence_length": 1}, [seed + number]) for number in range(MANY)]
            and None
        ),
        "diffusers_16_lockstep": lambda seed: paint_there(pipeline, settings, list(range(seed, seed + MANY))),
    }
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    shares = []
    for turn in range(rounds + 1):
        for name, work in contestants.items():
            clock.seconds = 0.0
            seconds = seconds_of(lambda work=work, turn=turn: work(1000 * turn))
            print(f"round {turn} of {rounds}: {name} {seconds:.3f} s", file=sys.stderr)
            if turn > 0:
                taken[name].append(seconds)
                if name == "engine_16":
                    shares.append(clock.seconds / seconds)
    return summarise({name: statistics.median(times) for name, times in taken.items()}, statistics.median(shares))


def summarise(medians: dict[str, float], forward_share: float) -> dict[str, float]:
    """Return pictures per second of every contestant, and what the engine's rates are over the peer's."""
    counts = {name: MANY if "16" in name else 1 for name in medians}
    rates = {f"{name}_per_s": counts[name] / seconds for name, seconds in medians.items()}
    return {
        "ratio_1": rates["engine_1_per_s"] / rates["diffusers_1_per_s"],
        "ratio_16": rates["engine_16_per_s"] / rates["diffusers_16_in_turn_per_s"],
        "ratio_1_counted": rates["engine_1_per_s"] / rates["counted_1_per_s"],
        "ratio_16_counted": rates["engine_16_per_s"] / rates["counted_16_in_turn_per_s"],
        "ratio_16_lockstep": rates["engine_16_per_s"] / rates["diffusers_16_lockstep_per_s"],
        "forward_share": forward_share,
    } | rates


def main() -> None:
    """Print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after one to warm up")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    metrics = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        for name, value in metrics.items():
            print(f"{name:28} {value:8.3f}")


if __name__ == "__main__":
    main()
