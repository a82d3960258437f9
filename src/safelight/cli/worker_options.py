"""Options of `safelight serve` about workers that hang."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from safelight.cli.errors import Misuse
from safelight.control.liveness import (
    BEAT_S,
    HUNG_S,
    LEAST_BEAT_S,
    START_SILENCE_S,
    START_STALLED_S,
    SUSPECTED_S,
    TICK_FACTOR,
    TICK_S,
    LivenessLimits,
)


def _seconds(help_text: str) -> Any:  # noqa: ANN401 - the type is typer's own
    return typer.Option(metavar="S", min=LEAST_BEAT_S, help=help_text, rich_help_panel="Workers")


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """When a worker gets no new work, and when it is replaced."""

    worker_beat_s: Annotated[float, _seconds("Seconds between two signs of life of a worker.")] = BEAT_S
    worker_suspected_s: Annotated[float, _seconds("Seconds of silence until a worker gets no new work.")] = SUSPECTED_S
    worker_hung_s: Annotated[float, _seconds("Seconds of silence until a worker is killed and replaced.")] = HUNG_S
    worker_tick_s: Annotated[
        float,
        _seconds(
            f"Seconds that one tick of a worker may take, or {TICK_FACTOR:g} times what its profile predicts if that "
            "is longer; then it is killed and replaced."
        ),
    ] = TICK_S
    worker_start_silence_s: Annotated[
        float, _seconds("Seconds of silence until a worker that loads its models is killed and started again.")
    ] = START_SILENCE_S
    worker_start_stalled_s: Annotated[
        float, _seconds("Seconds without computing or reading until a worker that loads its models is started again.")
    ] = START_STALLED_S

    @property
    def limits(self) -> LivenessLimits:
        """The limits of a server; raises Misuse if they do not fit together."""
        limits = LivenessLimits(
            beat_s=self.worker_beat_s,
            suspected_s=self.worker_suspected_s,
            hung_s=self.worker_hung_s,
            tick_s=self.worker_tick_s,
            start_silence_s=self.worker_start_silence_s,
            start_stalled_s=self.worker_start_stalled_s,
        )
        if (flaw := limits.flaw) is not None:
            raise Misuse(
                f"The limits of workers do not fit together: {flaw}. See --worker-beat-s and the options after it."
            )
        return limits
