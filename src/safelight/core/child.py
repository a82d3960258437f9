"""What a pool and its worker processes tell each other beside commands and events: by environment and exit status."""

import errno
from collections.abc import Mapping
from typing import Final

PARENT_PID: Final = "SAFELIGHT_PARENT_PID"
"""The process that a worker must not outlive."""

BEAT_S: Final = "SAFELIGHT_BEAT_S"
"""Seconds between two `Beat`s of a worker; without it a worker sends none."""

TRY_AGAIN: Final = 75
"""Exit status of a worker that lacks what may be there later, such as memory; `EX_TEMPFAIL` of sysexits.h."""

_TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def may_pass(error: BaseException | None) -> bool:
    """Whether the reason of an error may pass by itself: the system lacks file handles, memory or processes for now."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _TRANSIENT)


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
