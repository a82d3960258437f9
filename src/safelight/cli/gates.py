"""`safelight train gate` and `safelight score gate`: what decides whether a light model's picture is good enough."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import Progress

from safelight.cli.console import notes, progress_bar
from safelight.cli.errors import Misuse
from safelight.cli.extras import need_serve_extra
from safelight.cli.options import AsJson, TrainingThreads
from safelight.cli.training import score, train
from safelight.local.model_folders import SHIPPED_GATE, model_folders

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from safelight.profiles.gate_file import Arrays

__all__ = ["score", "train"]

Light = Annotated[str, typer.Option(metavar="MODEL", help="The light model: a name or a diffusers folder.")]
Heavy = Annotated[str, typer.Option(metavar="MODEL", help="The model that paints what the gate does not accept.")]
Prompts = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Prompts, one a line.", show_default="captions of the embedded domain"),
]
JudgeName = Annotated[
    str,
    typer.Option(metavar="JUDGE", help="What says which pictures are good: scene, or clip:FOLDER for a CLIP model."),
]
Least = Annotated[
    float,
    typer.Option(metavar="SCORE", min=0.0, max=1.0, help="The CLIPScore of a good picture, with a CLIP judge."),
]
LEAST_PROMPTS = 64
LEAST_CLIP_SCORE = 0.7


@train.command(
    "gate",
    epilog="Examples:\n\nsafelight train gate -o gate.safetensors\n\n"
    "safelight train gate --light shapes-small --heavy shapes-large --count 4000 --steps 1000 -o quick.safetensors\n\n"
    "safelight train gate --light path/to/sd-turbo --heavy path/to/sdxl --prompts prompts.txt -o gate.safetensors",
)
def train_gate(
    *,
    light: Light = "shapes-small",
    heavy: Heavy = "shapes-large",
    prompts: Prompts = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the gate goes.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="The name of the gate.")] = "gate",
    judge: JudgeName = "scene",
    least: Least = LEAST_CLIP_SCORE,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where pictures and checkpoints go; a second run goes on from there.")
    ] = Path("runs/gate"),
    count: Annotated[int, typer.Option(min=LEAST_PROMPTS, metavar="N", help="Prompts to paint at most.")] = 16_000,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Batches to learn from.")] = 6_000,
    threads: TrainingThreads = 1,
) -> None:
    """Train a gate for a cascade of two models, on pictures that the light one paints; started again, it goes on."""
    need_serve_extra()
    from safelight.diffusion.gates.judge_names import load_judge
    from safelight.diffusion.training.cascade_gate import GatePlan, make_gate, training_captions

    texts = training_captions(count) if prompts is None else read_prompts(prompts)[:count]
    light_folder, heavy_folder = model_folders([light, heavy])
    plan = GatePlan(
        name=name,
        light=light_folder,
        heavy=heavy_folder,
        prompts=texts,
        folder=folder,
        steps=steps,
        threads=threads,
        judge=load_judge(judge, least=least),
        train_router=router_of,
    )
    with Progress(console=notes) as progress:
        card = make_gate(plan, output, progress)
    print(
        f"{output}: AUC {card.auc:.3f}, calibration error {card.calibration_error:.3f} on prompts it did not learn of. "
        f"Serve it with: safelight serve --cascade NAME={card.light},{card.heavy},{output}"
    )


@score.command(
    "gate",
    epilog="Examples:\n\nsafelight score gate\n\nsafelight score gate --json --gate gate.safetensors --count 200",
)
def score_gate(
    *,
    gate: Annotated[Path, typer.Option(metavar="FILE", help="The gate.", show_default="shipped")] = SHIPPED_GATE,
    light: Light = "shapes-small",
    heavy: Heavy = "shapes-large",
    prompts: Prompts = None,
    count: Annotated[int, typer.Option(min=2, metavar="N", help="Prompts to paint at most.")] = 500,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where pictures are kept.", show_default="they are not kept")
    ] = None,
    threads: TrainingThreads = 1,
    as_json: AsJson = False,
) -> None:
    """Paint captions that training did not use by the light model, and compare the gate with the scene score."""
    need_serve_extra()
    from safelight.diffusion.engine import DiffusionEngine
    from safelight.diffusion.evaluation import gate_quality

    texts = gate_quality.held_out(count) if prompts is None else read_prompts(prompts)[:count]
    engine = DiffusionEngine.load(model_folders([light, heavy]), threads=threads, gates=[gate])
    with progress_bar("pictures") as note:
        quality = gate_quality.score_loaded(engine, texts, folder=folder, on_picture=note)
    if as_json:
        print(msgspec.json.encode(quality).decode())
        return
    for label, value in msgspec.structs.asdict(quality).items():
        print(f"{label:20} {value}")


def router_of(prompts: Sequence[str], suits: "NDArray[np.bool_]", progress: Progress) -> "Arrays":
    """Train a router for the gate's file."""
    from safelight.cascade.router import BUCKETS, places_of
    from safelight.diffusion.training.router import train_router

    return train_router([places_of(prompt) for prompt in prompts], suits, progress, buckets=BUCKETS)


def read_prompts(path: Path) -> list[str]:
    """Return the lines of a file that are not empty; raises Misuse."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"The prompts {str(path)!r} cannot be read: {error}.") from None
    texts = list(dict.fromkeys(filter(None, lines)))
    if len(texts) < LEAST_PROMPTS:
        raise Misuse(f"{str(path)!r} has {len(texts)} different prompts; a gate needs at least {LEAST_PROMPTS}.")
    return texts
