"""What a step cache saves and what it costs in quality, beside fewer steps, on held-out captions of `shapes-large`.

| key | meaning |
| --- | --- |
| `saved` | share of the processor time that a level saves, by level |
| `facts` | mean share of a caption's facts that hold, by level |
| `steps_reused` | share of the steps that took over an earlier prediction |
| `saved_at_equal_facts_vs_steps` | what a tolerance saves at equal facts, over what fewer steps save |

Each level paints the same captions with the same seeds in one process; the levels take turns batch by batch.
"""

import argparse
import json
import sys
import time

import msgspec
import numpy as np
from rich.progress import track

from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.gate_quality import held_out
from safelight.diffusion.paint import make_job
from safelight.local.model_folders import SHIPPED_MODELS
from safelight.shapes.caption import parse
from safelight.shapes.score import score

MODEL = "shapes-large"
TOLERANCES = (0.05, 0.1, 0.2, 0.3, 0.5)
STEPS = (20, 15, 12, 10, 8)
BATCH = 8
SEED = 60_000
NO_LOSS = 0.005
"""Facts that count as none lost."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--captions", type=int, default=200)
    arguments = parser.parse_args()
    engine = DiffusionEngine.load([SHIPPED_MODELS / MODEL])
    (own,) = engine.models
    levels = {"all": (own.steps, 0.0)}
    levels |= {f"cache {tolerance:g}": (own.steps, tolerance) for tolerance in TOLERANCES}
    levels |= {f"{steps} steps": (steps, 0.0) for steps in STEPS}
    seconds, facts, reused = dict.fromkeys(levels, 0.0), {name: [] for name in levels}, dict.fromkeys(levels, 0)
    captions = held_out(arguments.captions)
    firsts = range(0, len(captions), BATCH)
    for first in track(firsts, "painting", console=None, disable=not sys.stderr.isatty()):
        for name, (steps, tolerance) in levels.items():
            taken_s, held, skipped = paint(engine, captions[first : first + BATCH], first, steps, tolerance)
            seconds[name] += taken_s
            facts[name] += held
            reused[name] += skipped
    saved = {name: round(1 - taken / seconds["all"], 3) for name, taken in seconds.items()}
    mean = {name: round(float(np.mean(each)), 4) for name, each in facts.items()}
    result = {
        "captions": len(captions),
        "saved": saved,
        "facts": mean,
        "steps_reused": {name: round(count / (len(captions) * levels[name][0]), 3) for name, count in reused.items()},
        "saved_at_equal_facts_vs_steps": ratio(saved, mean),
    }
    if arguments.json:
        print(json.dumps(result))
        return
    for name in levels:
        print(f"{name:12} saves {saved[name]:6.1%}   facts {mean[name]:.4f}")
    print(f"saved_at_equal_facts_vs_steps {result['saved_at_equal_facts_vs_steps']}")


def ratio(saved: dict[str, float], facts: dict[str, float]) -> float | None:
    """Return what the cache saves over what fewer steps save, each without losing facts; None if these save nothing."""
    kept = [name for name in saved if facts[name] >= facts["all"] - NO_LOSS]
    cache = max((saved[name] for name in kept if name.startswith("cache")), default=0.0)
    steps = max((saved[name] for name in kept if name.endswith("steps")), default=0.0)
    return round(cache / steps, 2) if steps > 0 else None


def paint(
    engine: DiffusionEngine, captions: list[str], first: int, steps: int, tolerance: float
) -> tuple[float, list[float], int]:
    """Return the processor time of painting `captions`, the facts that hold in each, and the steps taken over."""
    jobs = [make_job(engine.models, text, model=MODEL, seed=SEED + first + n) for n, text in enumerate(captions)]
    jobs = [
        msgspec.structs.replace(job, level=msgspec.structs.replace(job.level, steps=steps, step_cache=tolerance))
        for job in jobs
    ]
    ids = [job.id for job in jobs]
    began_s, reused = time.process_time(), 0
    engine.begin(jobs)
    for _ in range(steps):
        engine.step(ids)
        reused += sum(map(engine.reused_step, ids))
    pictures = engine.finish(ids)
    taken_s = time.process_time() - began_s
    arrays = [np.frombuffer(each.rgb, np.uint8).reshape(each.height, each.width, 3) for each in pictures]
    return taken_s, [score(array, parse(text)).share for array, text in zip(arrays, captions, strict=True)], reused


if __name__ == "__main__":
    main()
