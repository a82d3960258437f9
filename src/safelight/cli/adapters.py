"""`safelight adapters`: the user's own LoRAs and ControlNets, beside those that come with the package."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from safelight.adapters.registry import NAME, NAME_RULE
from safelight.api.errors import ServerError
from safelight.cli.console import progress_bar
from safelight.cli.errors import Misuse, NotTaken
from safelight.cli.extras import need_serve_extra
from safelight.cli.options import ApiKey, AsJson, Models, ServerToTell
from safelight.cli.server_lookup import address_of, is_served
from safelight.core.adapter import AdapterSpec
from safelight.core.errors import AdapterExists, AdapterFileError, InvalidParameter, UnknownAdapter, shorten
from safelight.local.adapter_folder import copy_adapter, delete_adapter, files_of, find_adapters
from safelight.local.launch import one_picture_argv
from safelight.local.model_folders import SHIPPED_ADAPTERS, adapter_folders, model_folders, own_adapters
from safelight.oneshot.server import announce_adapter, withdraw_adapter

adapters = typer.Typer(help="Keep LoRAs and ControlNets that pictures can name.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What pictures call it.", show_default=False)]
Place = Annotated[Path, typer.Argument(metavar="PATH", exists=True, help="Its file or folder.", show_default=False)]


@adapters.command(
    "add",
    epilog="Examples:\n\nsafelight adapters add glow path/to/a/peft/folder\n\n"
    "safelight adapters add glow glow.safetensors --model path/to/a/diffusers/folder\n\n"
    "safelight adapters add glow glow.safetensors --server http://127.0.0.1:9000",
)
def add_adapter(
    name: Name, path: Place, *, model: Models = None, server: ServerToTell = None, api_key: ApiKey = None
) -> None:
    """Copy an adapter into your own folder, once a worker has read it with one of the models."""
    _check_free(name)
    folders = model_folders(model)
    is_told = is_served(server, api_key=api_key)
    spec = _look_at(name, path, folders)
    kept = copy_adapter(name, path, own_adapters())
    if is_told:
        _announce(name, kept, url=address_of(server), api_key=api_key)
    print(f"{kept}: {spec.kind} for {spec.model}, {decimal(spec.weights_bytes)}")


@adapters.command("list", epilog="Examples:\n\nsafelight adapters list\n\nsafelight adapters list --json")
def list_adapters(*, as_json: AsJson = False) -> None:
    """List your own adapters and those that come with the package."""
    found = sorted(find_adapters(adapter_folders()).items())
    if as_json:
        print(json.dumps([_facts(name, path) for name, path in found]))
        return
    table = Table("adapter", "from", "size")
    for name, path in found:
        table.add_row(name, "Safelight" if _is_shipped(path) else "you", _size(_bytes(path)))
    Console().print(table)


@adapters.command(
    "remove",
    epilog="Examples:\n\nsafelight adapters remove glow\n\n"
    "safelight adapters remove glow --server http://127.0.0.1:9000",
)
def remove_adapter(name: Name, *, server: ServerToTell = None, api_key: ApiKey = None) -> None:
    """Delete one of your own adapters, and have the running server forget it."""
    path = _own_adapter(name)
    if is_served(server, api_key=api_key):
        withdraw_adapter(name, url=address_of(server), api_key=api_key)
    delete_adapter(path)
    print(f"{path} is deleted.")


@adapters.command(
    "inspect",
    epilog="Examples:\n\nsafelight adapters inspect neon\n\n"
    "safelight adapters inspect path/to/a/peft/folder --json\n\n"
    "safelight adapters inspect glow.safetensors --model path/to/a/diffusers/folder",
)
def inspect_adapter(
    adapter: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="One that pictures can name, or any.", show_default=False)
    ],
    *,
    model: Models = None,
    as_json: AsJson = False,
) -> None:
    """Have a worker read an adapter, and report what it is and which model it fits."""
    path = _named_or_at(adapter)
    spec = _look_at(path.absolute().stem, path, model_folders(model))
    if as_json:
        print(msgspec.json.encode({**msgspec.structs.asdict(spec), "path": str(path)}).decode())
        return
    print(f"kind   {spec.kind}")
    print(f"model  {spec.model}")
    print(f"ranks  {', '.join(map(str, spec.ranks)) or 'none'}")
    print(f"parts  {', '.join(spec.parts) or 'none'}")
    print(f"size   {decimal(spec.weights_bytes)}")
    print(f"path   {path}")


def _check_free(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidParameter("name", name, NAME_RULE)
    if name in find_adapters(adapter_folders()):
        raise AdapterExists(name)


def _look_at(name: str, path: Path, folders: Sequence[Path]) -> AdapterSpec:
    need_serve_extra()
    from safelight.oneshot.worker import look_at_adapter

    with progress_bar("reading"):
        return look_at_adapter(name, path, argv=one_picture_argv(folders))


def _announce(name: str, kept: Path, *, url: str, api_key: str | None) -> None:
    try:
        announce_adapter(name, url=url, api_key=api_key)
    except ServerError as error:
        raise NotTaken(kept, url=url, reason=str(error)) from None


def _own_adapter(name: str) -> Path:
    """Return where the user's own adapter is that has this name."""
    own = find_adapters([own_adapters()])
    if name in own:
        return own[name]
    if name in find_adapters([SHIPPED_ADAPTERS]):
        raise Misuse(f"{shorten(name)} comes with Safelight, so it stays; only your own adapters can be removed.")
    raise UnknownAdapter(name, sorted(own), param="name")


def _named_or_at(adapter: str) -> Path:
    """Return where the adapter is that has this name, or that lies at this path."""
    found = find_adapters(adapter_folders())
    if adapter not in found and not Path(adapter).exists():
        raise UnknownAdapter(adapter, sorted(found), param="adapter")
    return found.get(adapter, Path(adapter))


def _facts(name: str, path: Path) -> dict[str, object]:
    return {"name": name, "is_shipped": _is_shipped(path), "bytes": _bytes(path), "path": str(path)}


def _is_shipped(path: Path) -> bool:
    return path.parent == SHIPPED_ADAPTERS


def _bytes(path: Path) -> int | None:
    """Return what the files of an adapter come to, or None where they are such as no worker takes."""
    try:
        return sum(file.stat().st_size for file in files_of(path))
    except AdapterFileError:
        return None


def _size(file_bytes: int | None) -> str:
    return "unusable" if file_bytes is None else decimal(file_bytes)
