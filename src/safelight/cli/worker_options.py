"""Options of `safelight serve` about workers that hang."""

from typing import Annotated, Any

import typer

from safelight.cli.errors import Misuse
from safelight.control.liveness import LEAST_BEAT_S, TICK_FACTOR, LivenessLimits


def _seconds(help_text: str) -> Any:  # noqa: ANN401 - the type is typer's own
    return typer.Option(metavar="S", min=LEAST_BEAT_S, help=help_text, rich_help_panel="Workers")


BeatS = Annotated[float, _seconds("Seconds between two signs of life of a worker.")]
SuspectedS = Annotated[float, _seconds("Seconds of silence until a worker gets no new work.")]
HungS = Annotated[float, _seconds("Seconds of silence until a worker is killed and replaced.")]
TickS = Annotated[
    float,
    _seconds(
        f"Seconds that one tick of a worker may take, or {TICK_FACTOR:g} times what its profile predicts if that is "
        "longer; then it is killed and replaced."
    ),
]
StartSilenceS = Annotated[
    float, _seconds("Seconds of silence until a worker that loads its models is killed and started again.")
]
StartStalledS = Annotated[
    float, _seconds("Seconds without computing or reading until a worker that loads its models is started again.")
]


def checked(limits: LivenessLimits) -> LivenessLimits:
    """Return `limits`; raises Misuse if they do not fit together."""
    if (flaw := limits.flaw) is not None:
        raise Misuse(
            f"The limits of workers do not fit together: {flaw}. See --worker-beat-s and the options after it."
        )
    return limits
