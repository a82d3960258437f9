"""`safelight generate`: one picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from safelight.cli.console import progress_bar
from safelight.cli.errors import Misuse
from safelight.cli.extras import need_serve_extra
from safelight.cli.options import ApiKey, AsJson, Deterministic, Device, Dtype, Threads
from safelight.cli.picture_options import control_of, data_url, format_of, scaled
from safelight.cli.server_lookup import DEFAULT_SERVER, address_of, is_served
from safelight.core.quality import QualityProvenance
from safelight.local.adapter_folder import find_adapters
from safelight.local.launch import compute_options, one_picture_argv
from safelight.local.model_folders import AUTO, adapter_folders, model_folders, shipped_models
from safelight.oneshot.picture import Body, Painted
from safelight.oneshot.picture import Progress as Note
from safelight.oneshot.server import paint_there

generating = typer.Typer()

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to put it; .png, .jpg or .webp.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", metavar="NAME|DIR", help="A served or shipped model, or a folder.")
]
Loras = Annotated[
    list[str] | None,
    typer.Option("--lora", metavar="NAME[:SCALE]", help="A LoRA, at scale 1 by default; repeatable."),
]
GraceSteps = Annotated[
    int | None, typer.Option(metavar="N", help="Begin without LoRAs that a server still loads, at most for N steps.")
]
Controls = Annotated[
    list[str] | None,
    typer.Option("--control", metavar="NAME[:SCALE]=FILE", help="A ControlNet and its picture; repeatable."),
]
Source = Annotated[Path | None, typer.Option(metavar="FILE", help="A picture to start from; .png, .jpg or .webp.")]
Mask = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where to paint in it: where this is transparent, or else white.")
]
Strength = Annotated[float | None, typer.Option(metavar="X", help="How much of it is painted anew, up to 1 for all.")]
Quality = Annotated[
    str | None, typer.Option(metavar="NAME", help="low, medium, high, xhigh or max: steps; of a cascade, the model.")
]
MinQuality = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, metavar="P", help="Of a cascade: how probable it must be that a light picture is good enough."
    ),
]
Server = Annotated[
    str | None, typer.Option(metavar="URL", help=f"Who paints; else {DEFAULT_SERVER} if it runs, else a worker here.")
]


@generating.command(
    epilog="Examples:\n\nsafelight generate 'a red circle' -o circle.png\n\n"
    "safelight generate 'a small yellow star above a blue square' -o star.webp --seed 7 --steps 40\n\n"
    "safelight generate 'a pink heart' -o heart.jpg --server http://127.0.0.1:9000\n\n"
    "safelight generate 'a red circle' --lora outline:1.0 --lora pastel:0.6 --control edges=drawing.png\n\n"
    "safelight generate 'a blue star' --image circle.png --strength 0.8 -o star.png"
)
def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to paint.", show_default=False)],
    *,
    output: Output = Path("picture.png"),
    model: Model = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Same seed, same picture, up to rounding.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(metavar="X", help="Strength of guidance; 1 is none.")] = None,
    negative: Annotated[str | None, typer.Option(metavar="TEXT", help="What guidance steers away from.")] = None,
    sampler: Annotated[str | None, typer.Option(metavar="NAME", help="One of the model's samplers.")] = None,
    lora: Loras = None,
    lora_grace_steps: GraceSteps = None,
    control: Controls = None,
    image: Source = None,
    mask: Mask = None,
    strength: Strength = None,
    quality: Quality = None,
    min_quality: MinQuality = None,
    server: Server = None,
    api_key: ApiKey = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Threads = 1,
    deterministic: Deterministic = False,
    as_json: AsJson = False,
) -> None:
    """Paint one picture, with a running server or without."""
    if image is None and (mask or strength is not None):
        raise Misuse("--mask and --strength are about a picture to start from; name it with --image.")
    body: Body = {"prompt": prompt, "output_format": format_of(output)}
    options = {
        "seed": seed,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "negative_prompt": negative,
        "sampler": sampler,
        "loras": [scaled(word, option="--lora") for word in lora] if lora else None,
        "lora_grace_steps": lora_grace_steps,
        "controls": [control_of(word) for word in control] if control else None,
        "image": [data_url(image, option="--image")] if image else None,
        "mask": data_url(mask, option="--mask") if mask else None,
        "strength": strength,
        "quality": quality,
        "min_quality": min_quality,
    }
    body |= {name: value for name, value in options.items() if value is not None}
    with progress_bar("painting") as note:
        if _is_folder(model) or not is_served(server, api_key=api_key):
            limits = compute_options(device=device, dtype=dtype, threads=threads, deterministic=deterministic)
            painted = _paint_here(body, model, server=server, limits=limits, note=note)
        elif deterministic:
            raise Misuse("A running server paints this, and it was told to be deterministic or not. Leave it out.")
        else:
            named = body if model is None else body | {"model": model}
            painted = paint_there(named, url=address_of(server), api_key=api_key, progress=note)
    output.write_bytes(painted.content)
    _report(painted, output, as_json=as_json)


def _is_folder(model: str | None) -> bool:
    return model is not None and model not in shipped_models() and Path(model).is_dir()


def _paint_here(body: Body, model: str | None, *, server: str | None, limits: Sequence[str], note: Note) -> Painted:
    if "min_quality" in body or model == AUTO:
        asked = "--min-quality" if "min_quality" in body else AUTO
        raise Misuse(f"{asked} needs a server that has a cascade; start one with `safelight serve`.")
    if server is not None:
        raise Misuse(f"A server paints with the models it serves, not with a folder: {model!r}. Leave --server out.")
    need_serve_extra()
    from safelight.oneshot.worker import paint_here

    folders = model_folders(None if model is None else [model])
    argv = one_picture_argv(folders[:1], *limits)
    return paint_here(body, argv=argv, adapters=find_adapters(adapter_folders()), progress=note)


def _report(painted: Painted, output: Path, *, as_json: bool) -> None:
    facts = {
        "file": str(output),
        "model": painted.model,
        "steps": painted.steps,
        "steps_run": painted.steps_run,
        "steps_without_loras": painted.steps_without_loras,
        "sampler": painted.sampler,
        "seed": painted.seed,
        "seconds": round(painted.seconds, 3),
        "painted_by": painted.by,
    }
    quality = painted.quality
    if as_json:
        print(json.dumps(facts | ({} if quality is None else {"quality": msgspec.to_builtins(quality)})))
    else:
        told = str(painted.steps) if painted.steps_run == painted.steps else f"{painted.steps_run} of {painted.steps}"
        words = "{file}: {model}, {told} steps of {sampler}, seed {seed}, {seconds} s by {painted_by}"
        print(words.format(told=told, **facts))
        if painted.steps_without_loras:
            print(f"Its LoRAs were still being loaded in the first {painted.steps_without_loras} steps.")
        if quality is not None and quality.cascade is not None:
            print(_route(quality))


def _route(quality: QualityProvenance) -> str:
    """Return which models of a cascade painted a picture, and why."""
    scored = "" if quality.gate_score is None else f", whose picture scored {quality.gate_score:.2f}"
    least = "" if quality.threshold is None else f" and needed {quality.threshold:.2f}"
    first, *others = quality.levels
    words = (
        f"By {quality.cascade}: {first}{scored}{least if scored else ''}{''.join(f', then {each}' for each in others)}"
    )
    kept = "" if quality.kept_promise is None else f"; the promise was {'kept' if quality.kept_promise else 'broken'}"
    return f"{words} ({quality.reason}{kept})."
