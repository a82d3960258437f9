"""`safelight serve` and `safelight generate`: pictures for many, and one picture."""

import base64
import json
from pathlib import Path
from typing import Annotated

import typer

from safelight.cli.errors import Misuse
from safelight.cli.options import ApiKey, AsJson, Models, Threads
from safelight.cli.running import DEFAULT_SERVER, address_of, is_served
from safelight.cli.shipped import adapter_folders, model_folders, shipped_models
from safelight.cli.telling import notes, progress_bar
from safelight.cli.workers import control_service_argv, need_serve_extra, one_picture_argv, worker_argv
from safelight.core.errors import shorten
from safelight.once.picture import Body, Painted
from safelight.once.picture import Progress as Note
from safelight.once.server import paint_there
from safelight.server.adapter_folder import find_adapters

serving = typer.Typer()

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@serving.command(
    epilog="Examples:\n\nsafelight serve\n\nsafelight serve --workers 2 --port 9000\n\n"
    "safelight serve --model shapes-small --model path/to/a/diffusers/folder\n\n"
    "safelight serve --adapters path/to/a/folder/of/adapters\n\n"
    "safelight serve --workers 2 --control-service\n\n"
    "SAFELIGHT_API_KEY=secret safelight serve --host 0.0.0.0"
)
def serve(
    *,
    model: Models = None,
    adapters: Annotated[
        list[Path] | None,
        typer.Option("--adapters", metavar="DIR", help="A folder of adapters, looked at before yours; repeatable."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Worker processes.")] = 1,
    threads: Threads = 1,
    control_service: Annotated[
        bool, typer.Option("--control-service", help="Keep ControlNets once, in a process for all workers.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen at; beyond loopback it needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 picks a free one.")] = 8000,
    api_key: ApiKey = None,
    max_waiting: Annotated[int, typer.Option(min=1, metavar="N", help="Pictures that may wait.")] = 256,
    drain_s: Annotated[float, typer.Option(min=0, metavar="S", help="Seconds to finish accepted work in.")] = 30.0,
    outcomes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add one JSON line for each request to this file.")
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further name that a local proxy calls us by; repeatable."),
    ] = None,
) -> int:
    """Serve models over HTTP, as OpenAI's image API does; a page to try them is at the root."""
    need_serve_extra()
    from safelight.server.run import serve as run_server
    from safelight.server.settings import ServerSettings

    folders = model_folders(model)
    settings = ServerSettings(
        worker_argv=worker_argv(folders, "--threads", str(threads)),
        workers=workers,
        control_argv=control_service_argv(threads=threads) if control_service else (),
        adapters=adapter_folders(adapters or ()),
        host=host,
        port=port,
        api_key=api_key or None,
        drain_s=drain_s,
        max_waiting=max_waiting,
        outcomes=outcomes,
        allowed_hosts=tuple(allowed_host or ()),
    )
    notes.print(f"Loading {', '.join(folder.resolve().name for folder in folders)} ...")
    return run_server(settings, on_ready=lambda url: notes.print(f"Safelight is ready at {url}; Ctrl-C ends it."))


@serving.command(
    epilog="Examples:\n\nsafelight generate 'a red circle' -o circle.png\n\n"
    "safelight generate 'a small yellow star above a blue square' -o star.webp --seed 7 --steps 40\n\n"
    "safelight generate 'a pink heart' -o heart.jpg --server http://127.0.0.1:9000\n\n"
    "safelight generate 'a red circle' --lora outline:1.0 --lora pastel:0.6 --control edges=drawing.png"
)
def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to paint.", show_default=False)],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to put it; .png, .jpg or .webp.")
    ] = Path("picture.png"),
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME|DIR", help="A served or shipped model, or a folder.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Same seed, same picture.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(metavar="X", help="Strength of guidance; 1 is none.")] = None,
    negative: Annotated[str | None, typer.Option(metavar="TEXT", help="What guidance steers away from.")] = None,
    sampler: Annotated[str | None, typer.Option(metavar="NAME", help="One of the model's samplers.")] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option("--lora", metavar="NAME[:SCALE]", help="A LoRA, at scale 1 unless told; repeatable."),
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option("--control", metavar="NAME[:SCALE]=FILE", help="A ControlNet and its picture; repeatable."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"Who paints; else {DEFAULT_SERVER} if it runs, else a worker here."),
    ] = None,
    api_key: ApiKey = None,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Paint one picture, with a running server or without."""
    body: Body = {"prompt": prompt, "output_format": _format(output)}
    options = {
        "seed": seed,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "negative_prompt": negative,
        "sampler": sampler,
        "loras": [_scaled(word, option="--lora") for word in lora] if lora else None,
        "controls": [_control(word) for word in control] if control else None,
    }
    body |= {name: value for name, value in options.items() if value is not None}
    with progress_bar("painting") as note:
        if _is_folder(model) or not is_served(server, api_key=api_key):
            painted = _paint_here(body, model, server=server, threads=threads, note=note)
        else:
            named = body if model is None else body | {"model": model}
            painted = paint_there(named, url=address_of(server), api_key=api_key, progress=note)
    output.write_bytes(painted.content)
    _report(painted, output, as_json=as_json)


def _format(output: Path) -> str:
    """Return the format that a file's name asks for, once it is sure that the file can be written."""
    if output.suffix.lower() not in FORMATS:
        raise Misuse(f"{shorten(str(output))} ends in {output.suffix!r}; pictures end in {', '.join(FORMATS)}.")
    if not output.parent.is_dir():
        raise Misuse(f"There is no folder {shorten(str(output.parent))} to put {output.name} in; make it first.")
    return FORMATS[output.suffix.lower()]


def _scaled(word: str, *, option: str) -> dict[str, object]:
    """Return the adapter that `name` or `name:scale` means."""
    name, _, scale = word.partition(":")
    try:
        return {"name": name, "scale": float(scale or 1.0)}
    except ValueError:
        raise Misuse(f"{option} {shorten(word)} has a scale that is no number; write NAME:0.8.") from None


def _control(word: str) -> dict[str, object]:
    """Return the ControlNet that `name=file` or `name:scale=file` means, with the picture in it."""
    adapter, _, file = word.partition("=")
    kind = FORMATS.get(Path(file).suffix.lower())
    if kind is None:
        raise Misuse(f"--control {shorten(word)} names no .png, .jpg or .webp file; write NAME=FILE.")
    picture = base64.b64encode(Path(file).read_bytes()).decode()
    return _scaled(adapter, option="--control") | {"image": f"data:image/{kind};base64,{picture}"}


def _is_folder(model: str | None) -> bool:
    return model is not None and model not in shipped_models() and Path(model).is_dir()


def _paint_here(body: Body, model: str | None, *, server: str | None, threads: int, note: Note) -> Painted:
    if server is not None:
        raise Misuse(f"A server paints with the models it serves, not with a folder: {model!r}. Leave --server out.")
    need_serve_extra()
    from safelight.once.worker import paint_here

    folders = model_folders(None if model is None else [model])
    argv = one_picture_argv(folders[:1], threads=threads)
    return paint_here(body, argv=argv, adapters=find_adapters(adapter_folders()), progress=note)


def _report(painted: Painted, output: Path, *, as_json: bool) -> None:
    facts = {
        "file": str(output),
        "model": painted.model,
        "steps": painted.steps,
        "sampler": painted.sampler,
        "seed": painted.seed,
        "seconds": round(painted.seconds, 3),
        "painted_by": painted.by,
    }
    if as_json:
        print(json.dumps(facts))
    else:
        print("{file}: {model}, {steps} steps of {sampler}, seed {seed}, {seconds} s by {painted_by}".format(**facts))
