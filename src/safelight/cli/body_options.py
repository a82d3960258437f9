"""Options of `safelight serve` that bound request bodies."""

from dataclasses import dataclass
from typing import Annotated, TypedDict

import typer

from safelight.cli.errors import Misuse
from safelight.server.json_scan import MAX_JSON_DEPTH, MAX_JSON_KEYS, MAX_JSON_VALUES, JsonLimits

_PANEL = "Limits"


class BodySettings(TypedDict):
    """Fields of `ServerSettings`."""

    max_body_bytes: int
    body_read_s: float
    body_idle_s: float
    body_budget_bytes: int
    json_limits: JsonLimits
    max_decoding: int


@dataclass(frozen=True, kw_only=True)
class BodyOptions:
    """What request bodies may be, take and hold."""

    max_body_bytes: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Bytes of a request's body; more is a 413.")
    ] = 16 << 20
    body_read_s: Annotated[
        float, typer.Option(min=0.001, metavar="S", rich_help_panel=_PANEL, help="Seconds in which a body must arrive.")
    ] = 30.0
    body_idle_s: Annotated[
        float, typer.Option(min=0.001, metavar="S", rich_help_panel=_PANEL, help="Seconds for which a body may pause.")
    ] = 10.0
    body_budget_bytes: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", rich_help_panel=_PANEL, help="Bytes of all bodies that are held at once; more is a 503."
        ),
    ] = 256 << 20
    max_json_values: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Values of a JSON body; more is a 400.")
    ] = MAX_JSON_VALUES
    max_json_keys: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Keys of a JSON body; more is a 400.")
    ] = MAX_JSON_KEYS
    max_json_depth: Annotated[
        int,
        typer.Option(min=1, max=100, metavar="N", rich_help_panel=_PANEL, help="Levels of a JSON body; more is a 400."),
    ] = MAX_JSON_DEPTH
    max_decoding: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=_PANEL,
            help="Requests whose pictures are decoded or wait for that; more is a 503.",
        ),
    ] = 32

    @property
    def settings(self) -> BodySettings:
        """The settings of a server; raises Misuse for a budget in which two bodies do not fit."""
        if self.body_budget_bytes < 2 * self.max_body_bytes:
            raise Misuse(
                f"--body-budget-bytes {self.body_budget_bytes} is too small for two bodies of {self.max_body_bytes} "
                "bytes; raise it, or lower --max-body-bytes."
            )
        return BodySettings(
            max_body_bytes=self.max_body_bytes,
            body_read_s=self.body_read_s,
            body_idle_s=self.body_idle_s,
            body_budget_bytes=self.body_budget_bytes,
            json_limits=JsonLimits(values=self.max_json_values, keys=self.max_json_keys, depth=self.max_json_depth),
            max_decoding=self.max_decoding,
        )
