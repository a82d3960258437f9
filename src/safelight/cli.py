"""The `safelight` command: parses, builds and runs; the rooms do the work."""

import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from typer.exceptions import TyperException

from safelight import __version__
from safelight.core.errors import RequestError, SafelightError, nearest, shorten
from safelight.once.picture import Body, Painted
from safelight.once.picture import Progress as Note
from safelight.once.server import NotSafelight, Refused, ServerSilent, greet, paint_there

SHIPPED_MODELS = Path(__file__).parent / "models"
DEFAULT_SERVER = "http://127.0.0.1:8000"
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
SERVE_EXTRA = ("torch", "diffusers", "fastapi", "pydantic", "uvicorn")

ROWS_OF_ONE_PICTURE = 2
"""A denoiser row with the prompt, and one without."""

FAILURE = 1
MISUSE = 2
INTERRUPTED = 130

notes = Console(stderr=True, highlight=False)


class Misuse(SafelightError):
    """The command line asks for something that cannot be."""


class MissingExtra(SafelightError):
    """A command needs packages that the base install leaves out."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"This command needs {package}, which comes with the extra [{extra}]: pip install 'safelight[{extra}]'."
        )


app = typer.Typer(
    help="Serve text-to-image diffusion models under deadlines.",
    epilog="Examples:\n\nsafelight serve\n\nsafelight generate 'a red circle on a white background' -o circle.png",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train = typer.Typer(help="Train the embedded models from nothing.", no_args_is_help=True)
score = typer.Typer(help="Measure how well the embedded models paint.", no_args_is_help=True)
app.add_typer(train, name="train", epilog="Example:\n\nsafelight train shapes --folder runs/shapes")
app.add_typer(score, name="score", epilog="Example:\n\nsafelight score shapes --json")

Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", metavar="NAME|DIR", help="A shipped model or a diffusers folder; repeatable."),
]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="CPU threads of one worker.")]
TrainingThreads = Annotated[int, typer.Option("--threads", min=1, metavar="N", help="CPU threads.")]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="SAFELIGHT_API_KEY", metavar="KEY", help="What clients must show: Authorization: Bearer KEY."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status: 0, 1 for failure, 2 for misuse."""
    try:
        status = app(args=None if arguments is None else list(arguments), prog_name="safelight", standalone_mode=False)
    except (TyperException, SafelightError, OSError) as error:
        if words := " ".join(_words(error).split()):
            notes.print(f"[red]error:[/red] {escape(words)}", soft_wrap=True)
        return _status(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _words(error: Exception) -> str:
    match error:
        case TyperException():
            return error.format_message()
        case OSError(filename=str(name), strerror=str(reason)):
            return f"{name}: {reason}"
    return str(error)


def _status(error: Exception) -> int:
    match error:
        case TyperException():
            return error.exit_code
        case Misuse() | RequestError() | Refused(is_misuse=True):
            return MISUSE
    return FAILURE


def _say_version(is_asked: bool) -> None:  # noqa: FBT001 - typer calls it like that
    if is_asked:
        print(f"safelight {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which Safelight this is.")
    ] = False,
) -> None:
    """Serve text-to-image diffusion models under deadlines."""


@app.command(
    epilog="Examples:\n\nsafelight serve\n\nsafelight serve --workers 2 --port 9000\n\n"
    "safelight serve --model shapes-small --model path/to/a/diffusers/folder\n\n"
    "SAFELIGHT_API_KEY=secret safelight serve --host 0.0.0.0"
)
def serve(
    *,
    model: Models = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Worker processes.")] = 1,
    threads: Threads = 1,
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
    _need("serve", SERVE_EXTRA)
    from safelight.server.run import serve as run_server
    from safelight.server.settings import ServerSettings

    folders = _model_folders(model)
    notes.print(f"Loading {', '.join(folder.resolve().name for folder in folders)} ...")
    settings = ServerSettings(
        worker_argv=_worker_argv(folders, "--threads", str(threads)),
        workers=workers,
        host=host,
        port=port,
        api_key=api_key or None,
        drain_s=drain_s,
        max_waiting=max_waiting,
        outcomes=outcomes,
        allowed_hosts=tuple(allowed_host or ()),
    )
    return run_server(settings, on_ready=lambda url: notes.print(f"Safelight is ready at {url}; Ctrl-C ends it."))


@app.command(
    epilog="Examples:\n\nsafelight generate 'a red circle' -o circle.png\n\n"
    "safelight generate 'a small yellow star above a blue square' -o star.webp --seed 7 --steps 40\n\n"
    "safelight generate 'a pink heart' -o heart.jpg --server http://127.0.0.1:9000"
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
    }
    body |= {name: value for name, value in options.items() if value is not None}
    with _progress_bar("painting") as note:
        if _is_folder(model) or not _is_served(server, api_key=api_key):
            painted = _paint_here(body, model, server=server, threads=threads, note=note)
        else:
            named = body if model is None else body | {"model": model}
            painted = paint_there(named, url=_address(server), api_key=api_key, progress=note)
    output.write_bytes(painted.content)
    _report(painted, output, as_json=as_json)


@train.command(
    "shapes",
    epilog="Examples:\n\nsafelight train shapes\n\nsafelight train shapes --folder runs/second --threads 4",
)
def train_shapes(
    *,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where checkpoints, loss logs and the finished models go.")
    ] = Path("runs/shapes"),
    threads: TrainingThreads = 2,
) -> None:
    """Train shapes-large and shapes-small; started again, it goes on where it stopped."""
    _need("serve", SERVE_EXTRA)
    from safelight.diffusion.training.recipe import Recipe, train

    with Progress(console=notes) as progress:
        models = train(Recipe(threads=threads), folder, progress)
    print(f"Serve the models with: safelight serve {' '.join(f'--model {model}' for model in models)}")


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
    """Paint captions that training never saw, and tell the share of their facts that hold."""
    _need("serve", SERVE_EXTRA)
    from safelight.diffusion.engine import DiffusionEngine
    from safelight.diffusion.quality import LARGE, SMALL, ByObjects, cost_ratio, score_model

    engine = DiffusionEngine.load([folder / LARGE, folder / SMALL], threads=threads)
    scores: dict[str, ByObjects] = {}
    for model in (LARGE, SMALL):
        with _progress_bar(model) as note:
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


def _format(output: Path) -> str:
    """Return the format that a file's name asks for, once it is sure that the file can be written."""
    if output.suffix.lower() not in FORMATS:
        raise Misuse(f"{shorten(str(output))} ends in {output.suffix!r}; pictures end in {', '.join(FORMATS)}.")
    if not output.parent.is_dir():
        raise Misuse(f"There is no folder {shorten(str(output.parent))} to put {output.name} in; make it first.")
    return FORMATS[output.suffix.lower()]


def _is_folder(model: str | None) -> bool:
    return model is not None and model not in _shipped_models() and Path(model).is_dir()


def _address(server: str | None) -> str:
    return (server or DEFAULT_SERVER).rstrip("/")


def _is_served(server: str | None, *, api_key: str | None) -> bool:
    """Say whether a server is there to paint; one that was named must be."""
    try:
        greet(_address(server), api_key=api_key)
    except (ServerSilent, NotSafelight):
        if server is not None:
            raise
        return False
    return True


def _paint_here(body: Body, model: str | None, *, server: str | None, threads: int, note: Note) -> Painted:
    if server is not None:
        raise Misuse(f"A server paints with the models it serves, not with a folder: {model!r}. Leave --server out.")
    _need("serve", SERVE_EXTRA)
    from safelight.once.worker import paint_here

    folders = _model_folders(None if model is None else [model])
    argv = _worker_argv(folders[:1], "--threads", str(threads), "--max-denoiser-rows", str(ROWS_OF_ONE_PICTURE))
    return paint_here(body, argv=argv, progress=note)


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


@contextmanager
def _progress_bar(what: str) -> Iterator[Note]:
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _shipped_models() -> Mapping[str, Path]:
    """Return the models that come with the package by name, the best one first."""
    return {index.parent.name: index.parent for index in sorted(SHIPPED_MODELS.glob("*/model_index.json"))}


def _model_folders(models: Sequence[str] | None) -> list[Path]:
    """Return a folder for each model named, by default for every shipped one."""
    shipped = _shipped_models()
    if not models:
        if not shipped:
            raise Misuse("This copy of Safelight came without models; name a diffusers folder with --model DIR.")
        return list(shipped.values())
    for model in models:
        if model not in shipped and not Path(model).is_dir():
            raise Misuse(f"No model or folder is called {shorten(model)}; {nearest(model, tuple(shipped))}")
    return [shipped.get(model, Path(model)) for model in models]


def _worker_argv(folders: Sequence[Path], *limits: str) -> tuple[str, ...]:
    models = [part for folder in folders for part in ("--model", str(folder))]
    return (sys.executable, "-m", "safelight.worker", *models, *limits)


def _need(extra: str, packages: Sequence[str]) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(extra, package)
