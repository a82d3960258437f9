"""`safelight reuse`: what a server keeps of earlier pictures, and what starts from them look like."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from safelight.cli.console import progress_bar
from safelight.cli.errors import Misuse
from safelight.cli.extras import need_serve_extra
from safelight.cli.options import ApiKey, AsJson
from safelight.cli.server_lookup import DEFAULT_SERVER, address_of
from safelight.local.model_folders import model_folders
from safelight.oneshot.server import reuse_view

reuse = typer.Typer(help="Look at the reuse of earlier pictures.", no_args_is_help=True)

SHEETS = (".html", ".png")


@reuse.command(
    "stats", epilog="Examples:\n\nsafelight reuse stats\n\nsafelight reuse stats --server http://127.0.0.1:9000 --json"
)
def stats(
    *,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="The server to ask.", show_default=DEFAULT_SERVER)
    ] = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show what a server holds for reuse, and what that has saved."""
    answer = reuse_view(url=address_of(server), api_key=api_key)
    if as_json:
        print(answer.decode())
        return
    view = json.loads(answer)
    whose = "all tenants" if view["tenant"] is None else f"tenant {view['tenant']!r}"
    print(f"mode            {view['mode']}, {whose}")
    print(f"pictures        {view['entries']}, {decimal(view['size_bytes'])} of {decimal(view['limit_bytes'])}")
    for model, count in view["models"].items():
        print(f"  {model:13} {count}")
    if view["savings"] is not None:
        print(f"looked up       {_counts(view['savings']['lookups'])}")
        print(f"steps saved     {_counts(view['savings']['steps_saved'])}")
        print(f"seconds saved   {_counts(view['savings']['seconds_saved'])}")


@reuse.command(
    "compare",
    epilog="Examples:\n\nsafelight reuse compare --cached 'a small red star on a white background' "
    "--query 'please draw a small red star on a white background' --query 'a small blue star on a white background' "
    "-o sheet.html",
)
def compare(
    *,
    cached: Annotated[str, typer.Option(metavar="PROMPT", help="The prompt that was painted before.")],
    query: Annotated[list[str], typer.Option(metavar="PROMPT", help="A new prompt; repeatable.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="An .html or .png file.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help="A name or a diffusers folder.")] = "shapes-large",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the new pictures.")] = 1,
) -> None:
    """Paint prompts as caches would: the earlier picture as it is, started from each of its levels, and in full."""
    if output.suffix.lower() not in SHEETS:
        raise Misuse(f"{str(output)!r} is neither an .html nor a .png file.")
    need_serve_extra()
    from safelight.cli.reuse_sheet import compared, write_sheet

    (folder,) = model_folders([model])
    with progress_bar("pictures") as note:
        rows = compared(folder, cached, query, seed=seed, on_picture=note)
    write_sheet(rows, output, cached=cached, model=folder.resolve().name)
    print(output)


def _counts(counts: dict[str, float]) -> str:
    return ", ".join(f"{name} {count:.4g}" for name, count in counts.items()) or "none"
