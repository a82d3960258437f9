"""`safelight train level-predictor` and `safelight score level-predictor`: how deep a picture may start."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from safelight.cli.console import notes, progress_bar
from safelight.cli.extras import need_serve_extra
from safelight.cli.options import AsJson, TrainingThreads
from safelight.cli.training import score, train
from safelight.local.model_folders import model_folders, shipped_levels

if TYPE_CHECKING:
    from safelight.worker.calibration.level_training import LevelScore

__all__ = ["score", "train"]

Model = Annotated[str, typer.Option(metavar="MODEL", help="A model that paints captions of the embedded domain.")]
LEAST_PAIRS = 128


@train.command(
    "level-predictor",
    epilog="Examples:\n\nsafelight train level-predictor -o levels.safetensors\n\n"
    "safelight train level-predictor --model shapes-large --pairs 400 --folder runs/levels -o large.safetensors",
)
def train_level_predictor(
    *,
    model: Model = "shapes-small",
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the predictor goes.")],
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where measured losses go; a second run goes on from there.")
    ] = Path("runs/levels"),
    pairs: Annotated[int, typer.Option(min=LEAST_PAIRS, metavar="N", help="Pairs of captions to paint.")] = 1_200,
    threads: TrainingThreads = 1,
) -> None:
    """Measure what starts and fewer steps lose, and train a predictor of it with conformal thresholds."""
    need_serve_extra()
    from safelight.diffusion.engine import DiffusionEngine
    from safelight.profiles.level_file import write_levels
    from safelight.worker.calibration.level_losses import draw_pairs, measure, schedule_of
    from safelight.worker.calibration.level_training import train_levels

    engine = DiffusionEngine.load(model_folders([model]), threads=threads)
    (spec,) = engine.models
    with Progress(console=notes) as progress:
        task = progress.add_task(spec.name, total=pairs)

        def note(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        losses = measure(engine, draw_pairs(pairs), folder=folder / spec.name, note=note)
        levels = train_levels(spec, schedule_of(engine), losses, progress)
    write_levels(levels, output)
    print(
        f"{output}: learned of {levels.card.pairs} pairs, thresholds of {levels.card.calibration_pairs}. "
        f"Serve it with: safelight serve --reuse private --level-predictor {output}"
    )


@score.command(
    "level-predictor",
    epilog="Examples:\n\nsafelight score level-predictor\n\n"
    "safelight score level-predictor --json --predictor levels.safetensors --pairs 200",
)
def score_level_predictor(
    *,
    predictor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The predictor.", show_default="the shipped one of the model")
    ] = None,
    model: Model = "shapes-small",
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where measured losses go; a second run goes on from there.")
    ] = Path("runs/levels-held-out"),
    pairs: Annotated[int, typer.Option(min=2, metavar="N", help="Pairs of held-out captions to paint.")] = 320,
    threads: TrainingThreads = 1,
    as_json: AsJson = False,
) -> None:
    """Compare promises with losses on captions that training did not use."""
    need_serve_extra()
    from safelight.diffusion.engine import DiffusionEngine
    from safelight.profiles.level_file import read_levels
    from safelight.worker.calibration.level_losses import draw_pairs, measure
    from safelight.worker.calibration.level_training import score_levels

    levels = read_levels(predictor or shipped_levels(model))
    engine = DiffusionEngine.load(model_folders([model]), threads=threads)
    (spec,) = engine.models
    with progress_bar(spec.name) as note:
        losses = measure(engine, draw_pairs(pairs, held_out=True), folder=folder / spec.name, note=note)
    scores = score_levels(levels, losses)
    if as_json:
        print(msgspec.json.encode(scores).decode())
        return
    Console().print(_table(scores))


def _table(scores: "list[LevelScore]") -> Table:
    table = Table("promised at most", "broken", "mean loss", "steps saved", "served as")
    for each in scores:
        served = ", ".join(f"{name} {share:.2f}" for name, share in each.depths.items())
        table.add_row(f"{each.delta:.2f}", f"{each.broken:.3f}", f"{each.loss:.3f}", f"{each.saved:.3f}", served)
    return table
