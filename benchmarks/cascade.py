"""A cascade on real pictures: what a gate, a router, both, or chance choose, and what each costs.

Captions that training did not use are painted by both models once (`--folder` keeps the pictures). The thresholds are
fitted on other captions, which are not held out, and never on those that are judged. `facts` is the share of answers
in which every fact of the caption holds, `facts_share` the mean share of facts that hold; the scene score measures
both, and decides nothing.

- `strategies`: of each way to choose, facts, compute as a ratio of the heavy model's, and the share that is deferred;
  `gain` is facts minus those of a random split of the same compute, with its 95 % interval. A random split paints each
  caption once, with one of the models, so it defers more than a gate does for the same compute.
- `gain_over_random`, `gain_low`, `compute_vs_heavy`, `quality_vs_heavy`: of router and gate together.
- `perfect`: a gate that sees the scene score, and costs nothing.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from safelight.cascade import strategies
from safelight.cascade.router import Router
from safelight.cascade.strategies import Costs, Judged, Strategy, Thresholds
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.evaluation.gate_quality import gate_scores, held_out
from safelight.diffusion.evaluation.painted import paint_captions
from safelight.diffusion.gates.judges import SCENE
from safelight.diffusion.gates.scorer import NetGate
from safelight.diffusion.paint import make_job, paint
from safelight.local.model_folders import SHIPPED_GATE, model_folders
from safelight.profiles.gate_file import read_gate
from safelight.shapes.caption import caption_of
from safelight.shapes.sampling import draw_scene, is_held_out

SEED = 50_000
REPEATS = 9
COMPUTE = (
    "of the heavy model's, at most, on the captions that thresholds are fitted on; others may take a few points more, "
    "so the default leaves a margin below 0.5"
)


class Seen(NamedTuple):
    """Captions with what every part of the cascade makes of them."""

    judged: Judged
    shares: Judged
    scores: np.ndarray
    hardness: np.ndarray | None


def fit_captions(count: int) -> list[str]:
    """Return captions that are not held out, of one object and of two in turn."""
    rng = np.random.default_rng(SEED)
    captions: list[str] = []
    while len(captions) < count:
        description = draw_scene(rng, objects=1 + len(captions) % 2).description
        if not is_held_out(description):
            captions.append(caption_of(description))
    return captions


def see(engine: DiffusionEngine, router: Router | None, captions: list[str], folder: Path) -> Seen:
    """Paint captions by both models, and look at the pictures."""
    gate = engine.gates[0]
    assert isinstance(gate, NetGate)
    suits, shares, light = {}, {}, None
    for model in (gate.spec.light, gate.spec.heavy):
        pictures = paint_captions(engine, model, captions, seed=SEED, folder=folder / model, on_picture=note)
        verdicts = [SCENE.look(picture) for picture in pictures]
        suits[model] = np.array([seen.suits(each) for seen, each in zip(verdicts, captions, strict=True)], float)
        shares[model] = np.array([seen.value(each) for seen, each in zip(verdicts, captions, strict=True)])
        light = pictures if light is None else light
    return Seen(
        judged=Judged(light=suits[gate.spec.light], heavy=suits[gate.spec.heavy]),
        shares=Judged(light=shares[gate.spec.light], heavy=shares[gate.spec.heavy]),
        scores=gate_scores(gate, light, captions),
        hardness=None if router is None else np.array([router.hardness(each) for each in captions]),
    )


def note(done: int, total: int) -> None:
    """Show on a terminal how many pictures are painted."""
    if sys.stderr.isatty():
        print(f"\r{done}/{total} pictures", end="\n" if done == total else "", file=sys.stderr, flush=True)


def measured_costs(engine: DiffusionEngine, caption: str) -> Costs:
    """Return the processor time of one picture of each model, and of one look: medians of interleaved runs."""
    gate = engine.gates[0]
    taken: dict[str, list[float]] = {"light": [], "heavy": [], "gate": []}
    for repeat in range(1 + REPEATS):
        for part, model in (("light", gate.spec.light), ("heavy", gate.spec.heavy)):
            began_s = time.process_time()
            pictures = paint(engine, [make_job(engine.models, caption, model=model, seed=repeat)])
            taken[part].append(time.process_time() - began_s)
        began_s = time.process_time()
        gate.score(pictures, [caption])
        taken["gate"].append(time.process_time() - began_s)
    return Costs(**{f"{part}_s": median(seconds[1:]) for part, seconds in taken.items()})


def chosen(seen: Seen, costs: Costs, most_seconds: float) -> dict[str, Thresholds]:
    """Return the thresholds of each strategy that fit the compute, by name."""
    every = np.ones(len(seen.scores))
    found = {"gate": strategies.fitted_thresholds(seen.judged, costs, scores=seen.scores, most_seconds=most_seconds)}
    if seen.hardness is not None:
        for name, scores in (("router", every), ("both", seen.scores)):
            used = Costs(light_s=costs.light_s, heavy_s=costs.heavy_s) if name == "router" else costs
            found[name] = strategies.fitted_thresholds(
                seen.judged, used, scores=scores, hardness=seen.hardness, most_seconds=most_seconds
            )
    return found


def applied(seen: Seen, thresholds: dict[str, Thresholds]) -> dict[str, Strategy]:
    """Return every strategy, by name."""
    count = len(seen.scores)
    made = {name: strategies.alone(count, heavy=name == "heavy") for name in ("light", "heavy")}
    made["gate"] = strategies.by_gate(seen.scores, threshold=thresholds["gate"].threshold)
    if seen.hardness is not None:
        made["router"] = strategies.by_router(seen.hardness, above=thresholds["router"].above)
        both = thresholds["both"]
        made["both"] = strategies.by_both(seen.scores, seen.hardness, threshold=both.threshold, above=both.above)
    return made


def row(strategy: Strategy, seen: Seen, costs: Costs) -> dict[str, Any]:
    """Return what one strategy yields."""
    gain = strategies.gain_over_random(strategy, seen.judged, costs, np.random.default_rng(SEED))
    return {
        "facts": float(strategy.qualities(seen.judged).mean()),
        "facts_share": float(strategy.qualities(seen.shares).mean()),
        "compute_vs_heavy": float(strategy.seconds(costs).mean()) / costs.heavy_s,
        "deferral": strategy.deferral,
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
    }


def random_row(seen: Seen, costs: Costs, compute_vs_heavy: float) -> dict[str, Any]:
    """Return what a random split of so much compute yields."""
    seconds = compute_vs_heavy * costs.heavy_s
    share = min(1.0, max(0.0, (seconds - costs.light_s) / (costs.heavy_s - costs.light_s)))
    return {
        "facts": strategies.random_quality(seen.judged, costs, seconds=seconds),
        "facts_share": strategies.random_quality(seen.shares, costs, seconds=seconds),
        "compute_vs_heavy": compute_vs_heavy,
        "deferral": share,
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Paint, fit, judge."""
    card = read_gate(arguments.gate)
    router = Router.from_arrays({name: array.astype(np.float32) for name, array in card.router.items()})
    engine = DiffusionEngine.load(model_folders([arguments.light, arguments.heavy]), gates=[arguments.gate])
    captions = held_out(arguments.captions)
    costs = measured_costs(engine, captions[0])
    fitting = see(engine, router, fit_captions(arguments.fit), folder / "fit")
    seen = see(engine, router, captions, folder / "held-out")
    thresholds = chosen(fitting, costs, arguments.compute * costs.heavy_s)
    rows = {name: row(each, seen, costs) for name, each in applied(seen, thresholds).items()}
    judged = rows["both" if "both" in rows else "gate"]
    rows["random"] = random_row(seen, costs, judged["compute_vs_heavy"])
    free = Costs(light_s=costs.light_s, heavy_s=costs.heavy_s)
    rows["perfect"] = row(strategies.by_gate(seen.judged.light, threshold=0.5), seen, free)
    return {
        "gain_over_random": judged["gain"],
        "gain_low": judged["gain_low"],
        "compute_vs_heavy": judged["compute_vs_heavy"],
        "quality_vs_heavy": judged["facts"] - rows["heavy"]["facts"],
        "strategies": rows,
        "captions": arguments.captions,
        "fit_captions": arguments.fit,
        "light_vs_heavy": costs.light_s / costs.heavy_s,
        "gate_vs_light": costs.gate_s / costs.light_s,
        "thresholds": {
            name: {"threshold": each.threshold, "above": None if math.isinf(each.above) else each.above}
            for name, each in thresholds.items()
        },
    }


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=500, metavar="N", help="held-out captions")
    parser.add_argument("--fit", type=int, default=400, metavar="N", help="captions that the thresholds are fitted on")
    parser.add_argument("--compute", type=float, default=0.48, metavar="RATIO", help=COMPUTE)
    parser.add_argument("--gate", type=Path, default=SHIPPED_GATE, metavar="FILE", help="the gate, and its router")
    parser.add_argument("--light", default="shapes-small", metavar="MODEL")
    parser.add_argument("--heavy", default="shapes-large", metavar="MODEL")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where pictures are kept for another run")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with TemporaryDirectory() as own:
        result = measure(arguments, arguments.folder or Path(own))
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{'':8} {'facts':>6} {'compute':>8} {'deferral':>8}  gain over random")
    for name, each in result["strategies"].items():
        gain = f"{each['gain']:+.3f} ({each['gain_low']:+.3f} to {each['gain_high']:+.3f})" if "gain" in each else ""
        print(f"{name:8} {each['facts']:6.3f} {each['compute_vs_heavy']:8.3f} {each['deferral']:8.3f}  {gain}")


if __name__ == "__main__":
    main()
