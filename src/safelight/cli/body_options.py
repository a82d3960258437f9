"""Options of `safelight serve` that bound request bodies."""

from typing import Annotated

import typer

_PANEL = "Limits"

MaxBodyBytes = Annotated[
    int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Bytes of a request's body; more is a 413.")
]
BodyReadSeconds = Annotated[
    float, typer.Option(min=0.001, metavar="S", rich_help_panel=_PANEL, help="Seconds in which a body must arrive.")
]
BodyIdleSeconds = Annotated[
    float, typer.Option(min=0.001, metavar="S", rich_help_panel=_PANEL, help="Seconds for which a body may pause.")
]
BodyBudgetBytes = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", rich_help_panel=_PANEL, help="Bytes of all bodies that are held at once; more is a 503."
    ),
]
MaxJsonValues = Annotated[
    int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Values of a JSON body; more is a 400.")
]
MaxJsonKeys = Annotated[
    int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Keys of a JSON body; more is a 400.")
]
MaxJsonDepth = Annotated[
    int, typer.Option(min=1, max=100, metavar="N", rich_help_panel=_PANEL, help="Levels of a JSON body; more is a 400.")
]
MaxDecoding = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=_PANEL,
        help="Requests with pictures that are decoded or wait for it; more is a 503.",
    ),
]
