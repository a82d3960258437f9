"""Ctrl-C and SIGTERM end a simulation early, and keep the results so far."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from safelight.simulator.running.stopping import StopRequest

APART_S = 1.0
"""Signals within this time count as one, since a shell and a wrapper may both pass it on."""


@contextmanager
def interruption() -> Iterator[StopRequest]:
    """Yield what the first signal sets; a second one, later, ends the process."""
    stop, handled_s = StopRequest(), list[float]()

    def handle(_: int, __: FrameType | None) -> None:
        now_s = time.monotonic()
        if handled_s and now_s - handled_s[-1] < APART_S:
            return
        handled_s.append(now_s)
        if stop.is_set:
            raise KeyboardInterrupt
        stop.set()

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # outside the main thread
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
