"""Options of `safelight serve` that bound connections."""

from dataclasses import dataclass
from typing import Annotated

import typer

from safelight.server.connections.limits import (
    HEADER_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    MAX_CONNECTIONS,
    MAX_HEADER_BYTES,
    WRITE_TIMEOUT_S,
    ConnectionLimits,
)

_PANEL = "Limits"


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """How many connections there may be, and how long each may take."""

    max_connections: Annotated[
        int,
        typer.Option(min=2, metavar="N", rich_help_panel=_PANEL, help="Open connections, as far as files allow."),
    ] = MAX_CONNECTIONS
    header_timeout_s: Annotated[
        float, typer.Option(min=0.1, metavar="S", rich_help_panel=_PANEL, help="Seconds in which a header must arrive.")
    ] = HEADER_TIMEOUT_S
    max_header_bytes: Annotated[
        int, typer.Option(min=1024, metavar="N", rich_help_panel=_PANEL, help="Bytes of a header; more is a 431.")
    ] = MAX_HEADER_BYTES
    idle_timeout_s: Annotated[
        float,
        typer.Option(min=0.1, metavar="S", rich_help_panel=_PANEL, help="Seconds to keep an unused connection."),
    ] = IDLE_TIMEOUT_S
    write_timeout_s: Annotated[
        float,
        typer.Option(
            min=0.1,
            metavar="S",
            rich_help_panel=_PANEL,
            help="Seconds for which a client may take nothing.",
        ),
    ] = WRITE_TIMEOUT_S

    @property
    def limits(self) -> ConnectionLimits:
        """The limits of a server."""
        return ConnectionLimits(
            max_connections=self.max_connections,
            header_timeout_s=self.header_timeout_s,
            max_header_bytes=self.max_header_bytes,
            idle_timeout_s=self.idle_timeout_s,
            write_timeout_s=self.write_timeout_s,
        )
