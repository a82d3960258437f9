"""`safelight score distance`: how far the pictures of a model are from those of another one."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer

from safelight.cli.console import progress_bar
from safelight.cli.extras import need_serve_extra
from safelight.cli.gates import Prompts, read_prompts, score
from safelight.cli.options import AsJson, TrainingThreads
from safelight.local.model_folders import SHIPPED_GATE, model_folders

__all__ = ["score"]

LEAST_PICTURES = 130


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """The Frechet distance of the pictures of `model` from those of `reference`, and the mean CLIPScore of the former.

    `itself` is the distance of both halves of the reference: what chance alone makes of half as many pictures.
    """

    model: str
    reference: str
    encoder: str
    pictures: int
    frechet: float
    itself: float
    clip_score: float | None


@score.command(
    "distance",
    epilog="Examples:\n\nsafelight score distance --model shapes-small --reference shapes-large\n\n"
    "safelight score distance --model a --reference b --prompts prompts.txt --encoder clip:path/to/clip --json",
)
def score_distance(
    *,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A name or a diffusers folder.")] = "shapes-small",
    reference: Annotated[str, typer.Option(metavar="MODEL", help="The model to compare with.")] = "shapes-large",
    encoder: Annotated[
        str, typer.Option(metavar="NAME", help="Whose features: gate, for shapes, or clip:FOLDER for a CLIP model.")
    ] = "gate",
    prompts: Prompts = None,
    count: Annotated[int, typer.Option(min=LEAST_PICTURES, metavar="N", help="Prompts to paint at most.")] = 500,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where pictures are kept.", show_default="they are not kept")
    ] = None,
    threads: TrainingThreads = 1,
    as_json: AsJson = False,
) -> None:
    """Paint prompts by two models with unlike seeds, and print the Frechet distance of their pictures."""
    need_serve_extra()
    from safelight.diffusion.engine import DiffusionEngine
    from safelight.diffusion.evaluation.frechet import ClipFeatures, encoder_of, frechet_distance
    from safelight.diffusion.evaluation.gate_quality import held_out
    from safelight.diffusion.evaluation.painted import paint_captions

    looks = encoder_of(encoder, gate=SHIPPED_GATE)
    texts = held_out(count) if prompts is None else read_prompts(prompts)[:count]
    painted = []
    with TemporaryDirectory() as own:
        for seed, path in enumerate(model_folders([model, reference]), start=1):
            name = path.resolve().name
            engine = DiffusionEngine.load([path], threads=threads)
            place = (folder or Path(own)) / f"{name}-{seed}"
            with progress_bar(name) as note:
                painted.append(
                    paint_captions(engine, name, texts, seed=seed * 1_000_000, folder=place, on_picture=note)
                )
    first, second = (looks.features(pictures) for pictures in painted)
    result = Distance(
        model=model,
        reference=reference,
        encoder=looks.name,
        pictures=len(texts),
        frechet=frechet_distance(first, second),
        itself=frechet_distance(second[::2], second[1::2]),
        clip_score=looks.clip_score(painted[0], texts) if isinstance(looks, ClipFeatures) else None,
    )
    if as_json:
        print(msgspec.json.encode(result).decode())
        return
    for label, value in msgspec.structs.asdict(result).items():
        print(f"{label:12} {value}")
