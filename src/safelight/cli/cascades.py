"""`safelight cascade build`: cascades from the models that there are."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from safelight.cli.console import notes
from safelight.cli.errors import Misuse
from safelight.cli.extras import need_serve_extra
from safelight.cli.gates import LEAST_CLIP_SCORE, LEAST_PROMPTS, JudgeName, Least, Prompts, read_prompts
from safelight.cli.options import AsJson, TrainingThreads
from safelight.cli.output_files import check_output_files
from safelight.local.model_folders import model_folders

cascade = typer.Typer(help="Build cascades: a light model, a gate, and a heavy model.", no_args_is_help=True)


@cascade.callback()
def _group() -> None:
    """Keep `build` a command of its own; typer would fold a single one into the group."""


@cascade.command(
    "build",
    epilog="Examples:\n\nsafelight cascade build --models shapes-small,shapes-large -o cascade.toml\n\n"
    "safelight cascade build --models path/to/turbo,path/to/xl,path/to/flux --prompts prompts.txt "
    "--judge clip:path/to/clip -o cascade.toml",
)
def build_cascades(
    *,
    models: Annotated[
        str, typer.Option(metavar="A,B,...", help="Models to choose from: names or diffusers folders, with commas.")
    ],
    prompts: Prompts = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the cascades go, as TOML.")],
    judge: JudgeName = "scene",
    least: Least = LEAST_CLIP_SCORE,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where pictures and checkpoints go; a second run goes on from there.")
    ] = Path("runs/cascade"),
    count: Annotated[int, typer.Option(min=2 * LEAST_PROMPTS, metavar="N", help="Prompts to paint at most.")] = 4_000,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Batches that each gate learns from.")] = 3_000,
    threads: TrainingThreads = 1,
    as_json: AsJson = False,
) -> None:
    """Train gates for sensible pairs of models, measure them, and write the cascades that nothing else beats.

    A pair is sensible if its heavy model could better the light one. A cascade is kept if no model alone and no other
    cascade is as good at the same compute or less. A fifth of the prompts measures, and trains no gate.
    """
    need_serve_extra()
    from safelight.cli.cascade_building import BuildPlan, Built
    from safelight.cli.cascade_building import build_cascades as build
    from safelight.diffusion.gates.judge_names import load_judge
    from safelight.diffusion.training.cascade_gate import training_captions

    check_output_files([output], inputs=[prompts] if prompts else [])
    folders = _folders(models)
    texts = list(dict.fromkeys(training_captions(count))) if prompts is None else read_prompts(prompts)[:count]
    if len(texts) < 2 * LEAST_PROMPTS:
        raise Misuse(f"There are {len(texts)} different prompts; cascades need at least {2 * LEAST_PROMPTS}.")
    plan = BuildPlan(
        folders=folders,
        prompts=texts,
        judge=load_judge(judge, least=least),
        folder=folder,
        output=output,
        steps=steps,
        threads=threads,
    )
    with Progress(console=notes) as progress:
        built: Built = build(plan, progress)
    if as_json:
        print(msgspec.json.encode(built, enc_hook=str).decode())
        return
    table = Table("", "seconds", "quality", "share", "threshold")
    for name, each in built.models.items():
        table.add_row(name, f"{each['seconds']:.4f}", f"{each['quality']:.3f}", "", "")
    for one in built.cascades:
        table.add_row(one.name, f"{one.seconds:.4f}", f"{one.quality:.3f}", f"{one.share:.2f}", f"{one.threshold:.3f}")
    Console().print(table)
    if built.cascades:
        print(f"{output}: serve it with: safelight serve --cascade {output}")
    else:
        print("No cascade is worth having: the models alone are as good at the same compute. Nothing was written.")


def _folders(models: str) -> dict[str, Path]:
    """Return the folder of each model by its served name; raises Misuse, RequestError."""
    named = [name for name in (each.strip() for each in models.split(",")) if name]
    folders = model_folders(named)
    by_name = {each.resolve().name: each for each in folders}
    if len(named) < 2 or len(by_name) < len(named):
        raise Misuse(f"--models {models!r} names {len(by_name)} different models; a cascade needs two or more.")
    return by_name
