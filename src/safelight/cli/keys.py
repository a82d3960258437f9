"""`safelight keys`: the keys of several tenants, in a file of hashes that `safelight serve --keys` reads."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from safelight.access.caller import Role
from safelight.access.keys_file import add_key, looseness, read_keys, remove_keys
from safelight.cli.console import notes
from safelight.cli.errors import Misuse
from safelight.cli.options import AsJson

keys = typer.Typer(
    help="Keep the keys of a server with several tenants.\n\n"
    "The file has one line per key: TENANT ROLE sha256:HEX. A running server reads it again when it changes.",
    no_args_is_help=True,
)

Tenant = Annotated[str, typer.Argument(metavar="NAME", help="The tenant: a user or an application.")]
KeysFile = Annotated[Path, typer.Option("--file", metavar="FILE", help="The keys file.", show_default=False)]


@keys.command(
    "add",
    epilog="Examples:\n\nsafelight keys add alice --file keys.txt\n\n"
    "safelight keys add operator --admin --file keys.txt\n\n"
    "safelight keys add prometheus --metrics --file keys.txt",
)
def add(
    name: Tenant,
    *,
    file: KeysFile,
    admin: Annotated[bool, typer.Option("--admin", help="Sees and cancels everything, and changes adapters.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Reads /metrics and readiness only.")] = False,
) -> None:
    """Make a key, print it once, and add its hash to the file, which is made if it is absent."""
    if admin and metrics:
        raise Misuse("--admin and --metrics are two roles; a key has one of them.")
    role: Role = "admin" if admin else "metrics" if metrics else "user"
    key, entry = add_key(file, name, role)
    notes.print(f"Key {entry.id} of {name}, role {role}. It is not stored and not shown again:")
    print(key)


@keys.command(
    "list", epilog="Examples:\n\nsafelight keys list --file keys.txt\n\nsafelight keys list --file keys.txt --json"
)
def list_keys(*, file: KeysFile, as_json: AsJson = False) -> None:
    """List the keys of a file: tenant, role, and the id of each key, by which logs name it."""
    entries = read_keys(file)
    if (mode := looseness(file)) is not None:
        notes.print(f"[yellow]warning:[/yellow] others may read or change {str(file)!r} (mode {mode}); chmod 600 it.")
    if as_json:
        print(json.dumps([{"tenant": entry.tenant, "role": entry.role, "key": entry.id} for entry in entries]))
        return
    table = Table("tenant", "role", "key")
    for entry in entries:
        table.add_row(entry.tenant, entry.role, entry.id)
    Console().print(table)


@keys.command(
    "remove",
    epilog="Examples:\n\nsafelight keys remove alice --file keys.txt\n\n"
    "safelight keys remove alice --key 3f1a9c20 --file keys.txt",
)
def remove(
    name: Tenant,
    *,
    file: KeysFile,
    key: Annotated[str | None, typer.Option(metavar="ID", help="One key, as `keys list` shows it; else all.")] = None,
) -> None:
    """Delete the keys of a tenant; a running server refuses them from its next look at the file on."""
    for entry in remove_keys(file, name, key):
        print(f"Key {entry.id} of {entry.tenant} is deleted.")
