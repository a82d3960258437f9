"""Options of `safelight serve` about who may use it, and how much of the queue a tenant gets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from safelight.access.wrong_keys import WRONG_KEYS_PER_MINUTE
from safelight.cli.options import ApiKey

_PANEL = "Access"


class AccessSettings(TypedDict):
    """Fields of `ServerSettings`."""

    host: str
    port: int
    api_key: str | None
    keys: Path | None
    wrong_keys_per_minute: int
    max_waiting_per_tenant: int | None
    allowed_hosts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AccessOptions:
    """Where the server listens, and whom it answers."""

    host: Annotated[
        str, typer.Option(rich_help_panel=_PANEL, help="Address to listen at; beyond loopback it needs a key.")
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", rich_help_panel=_PANEL, help="Port; 0 picks a free one.")
    ] = 8000
    api_key: ApiKey = None
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            rich_help_panel=_PANEL,
            help="Keys of several tenants, made by `safelight keys add`; read again when it changes.",
        ),
    ] = None
    wrong_keys_per_minute: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=_PANEL,
            help="Wrong keys of one address that get a 401; further ones get a 429. A right key always passes.",
        ),
    ] = WRONG_KEYS_PER_MINUTE
    max_waiting_per_tenant: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel="Limits",
            help="Pictures of one tenant that may wait. With --keys it may also have no more than there are free "
            "places.",
        ),
    ] = None
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", rich_help_panel=_PANEL, help="A further name that a local proxy calls us by; repeatable."
        ),
    ] = None

    @property
    def settings(self) -> AccessSettings:
        """The settings of a server."""
        return AccessSettings(
            host=self.host,
            port=self.port,
            api_key=self.api_key or None,
            keys=self.keys,
            wrong_keys_per_minute=self.wrong_keys_per_minute,
            max_waiting_per_tenant=self.max_waiting_per_tenant,
            allowed_hosts=tuple(self.allowed_host or ()),
        )
