"""What a pool passes to its worker processes by environment variables, beside their command line."""

from collections.abc import Mapping
from typing import Final

PARENT_PID: Final = "SAFELIGHT_PARENT_PID"
"""The process that a worker must not outlive."""

BEAT_S: Final = "SAFELIGHT_BEAT_S"
"""Seconds between two `Beat`s of a worker; without it a worker sends none."""


def child_environment(*, parent_pid: int, beat_s: float) -> dict[str, str]:
    """Return the variables for a child of the process `parent_pid`."""
    return {PARENT_PID: str(parent_pid), BEAT_S: repr(beat_s)}


def parent_pid_in(environment: Mapping[str, str]) -> int | None:
    """Return the process that this one must not outlive; None if nobody says so."""
    given = environment.get(PARENT_PID, "")
    return int(given) if given.isdecimal() else None


def beat_s_in(environment: Mapping[str, str]) -> float | None:
    """Return the seconds between two `Beat`s; None if nobody wants any."""
    try:
        return float(environment[BEAT_S])
    except (KeyError, ValueError):
        return None
