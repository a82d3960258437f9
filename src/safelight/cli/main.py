"""The `safelight` command, and the handling of its errors."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from typer.exceptions import TyperException

from safelight.cli.adapters import adapters
from safelight.cli.bench.commands import bench
from safelight.cli.calibrate import calibrating
from safelight.cli.cascades import cascade
from safelight.cli.console import notes
from safelight.cli.distance import score
from safelight.cli.errors import INTERRUPTED, message_of, status_of
from safelight.cli.generate import generating
from safelight.cli.keys import keys
from safelight.cli.levels import train
from safelight.cli.profiles import profiles
from safelight.cli.reuse import reuse
from safelight.cli.serve import serving
from safelight.cli.simulate.command import simulating
from safelight.cli.trace.commands import trace
from safelight.core.errors import SafelightError
from safelight.core.version import __version__

app = typer.Typer(
    help="Serve text-to-image diffusion models under deadlines.",
    epilog="Examples:\n\nsafelight serve\n\nsafelight generate 'a red circle on a white background' -o circle.png",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(serving)
app.add_typer(generating)
app.add_typer(
    adapters,
    name="adapters",
    epilog="Examples:\n\nsafelight adapters list\n\nsafelight adapters add glow path/to/a/peft/folder",
)
app.add_typer(
    keys,
    name="keys",
    epilog="Examples:\n\nsafelight keys add alice --file keys.txt\n\nsafelight serve --keys keys.txt",
)
app.add_typer(
    trace,
    name="trace",
    epilog="Examples:\n\nsafelight trace convert requests.csv requests.parquet\n\n"
    "safelight trace describe requests.parquet",
)
app.add_typer(bench, name="bench")
app.add_typer(
    reuse,
    name="reuse",
    epilog="Examples:\n\nsafelight reuse stats\n\n"
    "safelight reuse compare --cached 'a red star' --query 'a blue star' -o sheet.html",
)
app.add_typer(simulating)
app.add_typer(calibrating)
app.add_typer(
    profiles,
    name="profiles",
    epilog="Examples:\n\nsafelight profiles list\n\nsafelight profiles show sdxl-h800",
)
app.add_typer(
    cascade,
    name="cascade",
    epilog="Example:\n\nsafelight cascade build --models shapes-small,shapes-large -o cascade.toml",
)
app.add_typer(train, name="train", epilog="Example:\n\nsafelight train shapes --folder runs/shapes")
app.add_typer(score, name="score", epilog="Example:\n\nsafelight score shapes --json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status: 0, 1 for failure, 2 for misuse."""
    _hold_standard_streams()
    try:
        status = app(args=None if arguments is None else list(arguments), prog_name="safelight", standalone_mode=False)
    except (TyperException, SafelightError, OSError) as error:
        if message := " ".join(message_of(error).split()):
            notes.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
        return status_of(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _hold_standard_streams() -> None:
    """Open standard streams that a shell has closed; libuv aborts if a socket gets one of their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


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
