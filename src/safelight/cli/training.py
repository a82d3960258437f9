"""`safelight train` and `safelight score`: how the embedded models came to be, and how good they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from safelight.cli.console import notes, progress_bar
from safelight.cli.extras import need_serve_extra
from safelight.cli.options import AsJson, TrainingThreads
from safelight.local.model_folders import SHIPPED_ADAPTERS, SHIPPED_MODELS

train = typer.Typer(help="Train the embedded models from nothing.", no_args_is_help=True)
score = typer.Typer(help="Measure how well the embedded models paint.", no_args_is_help=True)


@train.command(
    "shapes",
    epilog="Examples:\n\nsafelight train shapes\n\nsafelight train shapes --folder runs/second --threads 4\n\n"
    "safelight train shapes --adapters --folder runs/adapters --only outline --only mask",
)
def train_shapes(
    *,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where checkpoints, loss logs and the finished models go.")
    ] = Path("runs/shapes"),
    adapters: Annotated[
        bool, typer.Option("--adapters", help="Train LoRAs and ControlNets beside finished models instead.")
    ] = False,
    models: Annotated[
        Path, typer.Option(metavar="DIR", help="The models that adapters are trained beside.", show_default="shipped")
    ] = SHIPPED_MODELS,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Train this adapter only; repeatable.")] = None,
    threads: TrainingThreads = 2,
) -> None:
    """Train shapes-large and shapes-small, or their adapters; started again, it goes on where it stopped."""
    need_serve_extra()
    if adapters:
        _train_adapters(models, folder, only=only or (), threads=threads)
        return
    from safelight.diffusion.training.models import train_models
    from safelight.diffusion.training.recipe import Recipe

    with Progress(console=notes) as progress:
        finished = train_models(Recipe(threads=threads), folder, progress)
    print(f"Serve the models with: safelight serve {' '.join(f'--model {model}' for model in finished)}")


def _train_adapters(models: Path, folder: Path, *, only: Sequence[str], threads: int) -> None:
    from safelight.diffusion.training.adapter_recipe import AdapterRecipe
    from safelight.diffusion.training.adapters import train_adapters

    with Progress(console=notes) as progress:
        written = train_adapters(AdapterRecipe(threads=threads), models, folder, progress, only=only)
    for path in written:
        print(path)


@score.command(
    "shapes", epilog="Examples:\n\nsafelight score shapes\n\nsafelight score shapes --json --folder runs/shapes/models"
)
def score_shapes(
    *,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder with shapes-large and shapes-small.", show_default="shipped")
    ] = SHIPPED_MODELS,
    threads: TrainingThreads = 1,
    as_json: AsJson = False,
) -> None:
    """Paint captions that training did not use, and report the share of their facts that hold."""
    need_serve_extra()
    from safelight.diffusion.embedded import LARGE, SMALL
    from safelight.diffusion.engine import DiffusionEngine
    from safelight.diffusion.evaluation.quality import ByObjects, cost_ratio, score_model

    engine = DiffusionEngine.load([folder / LARGE, folder / SMALL], threads=threads)
    scores: dict[str, ByObjects] = {}
    for model in (LARGE, SMALL):
        with progress_bar(model) as note:
            scores[model] = score_model(engine, model, on_picture=note)
    ratio = cost_ratio(engine, small=SMALL, large=LARGE)
    if as_json:
        print(msgspec.json.encode({**scores, "cost_ratio": ratio}).decode())
        return
    table = Table("model", "one: facts", "one: all", "two: facts", "two: all")
    for model, by in scores.items():
        table.add_row(model, *(f"{share:.3f}" for share in (by.one.facts, by.one.all, by.two.facts, by.two.all)))
    Console().print(table)
    print(f"A picture by {SMALL} takes {ratio:.3f} of the time of one by {LARGE}.")


@score.command(
    "adapters",
    epilog="Examples:\n\nsafelight score adapters --adapters runs/adapters/adapters\n\n"
    "safelight score adapters --json --only outline --prompts 100",
)
def score_adapters(
    *,
    models: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder with the models.", show_default="shipped")
    ] = SHIPPED_MODELS,
    adapters: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder with the adapters.", show_default="shipped")
    ] = SHIPPED_ADAPTERS,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Measure this adapter only; repeatable.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=2, metavar="N", help="Captions to paint with each adapter.")] = 40,
    as_json: AsJson = False,
) -> None:
    """Paint with each adapter and without, and report how well it does what it is for."""
    need_serve_extra()
    from safelight.diffusion.evaluation.adapter_quality import score_adapters as measure

    with progress_bar("adapters") as note:
        effects = measure(models, adapters, prompts=prompts, on_adapter=note, names=only or ())
    if as_json:
        print(msgspec.json.encode(effects).decode())
        return
    table = Table("adapter", "measure", "with", "without")
    for name, effect in effects.loras.items():
        for what, mean in (("style", effect.style), ("facts", effect.facts)):
            table.add_row(name, what, f"{mean.with_it:.3f}", f"{mean.without:.3f}")
    for name, mean in effects.controlnets.items():
        table.add_row(name, "pixels off", f"{mean.with_it:.1f}", f"{mean.without:.1f}")
    Console().print(table)
