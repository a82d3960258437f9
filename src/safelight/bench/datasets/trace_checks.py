"""Checks of trace rows before they are sent, beyond those of the package `traces`."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

TraceRow = Mapping[str, Any]

_ABOVE_0: tuple[str, Callable[[float], bool]] = ("above 0", lambda value: 0 < value < math.inf)
_AT_LEAST_0: tuple[str, Callable[[float], bool]] = ("at least 0", lambda value: value >= 0)
_FINITE: tuple[str, Callable[[float], bool]] = ("finite", math.isfinite)

_RULES = (
    *((name, _ABOVE_0) for name in ("width", "height", "deadline_s")),
    *((name, _AT_LEAST_0) for name in ("steps", "frames", "fps")),
    *((name, _FINITE) for name in ("strength", "guidance_scale")),
)
"""0 steps, frames or frames a second mean those of the command line."""


def problem_of(row: TraceRow) -> str:
    """Return why a row cannot be sent, with the value; "" if it can."""
    for name, (rule, is_fit) in _RULES:
        if row[name] is not None and not is_fit(row[name]):
            return f"{name} is {row[name]}, but it must be {rule}"
    bad = next((scale for scale in _scales(row) if not math.isfinite(scale)), None)
    return "" if bad is None else f"an adapter's scale is {bad}, but it must be finite"


def _scales(row: TraceRow) -> Iterator[float]:
    for adapter in (*(row["controlnets"] or ()), *(row["loras"] or ())):
        if adapter is not None and adapter["scale"] is not None:
            yield adapter["scale"]
